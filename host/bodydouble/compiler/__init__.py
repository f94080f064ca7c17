"""From a .tflite model to a plan that the board runs. Importing this is cheap: the parts follow when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodydouble.compiler.cache import load_plan
    from bodydouble.compiler.errors import ModelFileError, UnsupportedModelError
    from bodydouble.compiler.plan import Plan, compile_model

__all__ = ["ModelFileError", "Plan", "UnsupportedModelError", "compile_model", "load_plan"]

_HOMES = {
    "ModelFileError": "errors",
    "UnsupportedModelError": "errors",
    "Plan": "plan",
    "compile_model": "plan",
    "load_plan": "cache",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
