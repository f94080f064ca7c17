"""The stable Python API: every name is there, and importing the package is light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bodydouble


@pytest.mark.parametrize("name", bodydouble.__all__)
def test_every_exported_name_resolves_to_its_own(name: str) -> None:
    exported = getattr(bodydouble, name)
    assert name.startswith("__") or exported.__name__ == name
    assert name in dir(bodydouble)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Bord'"):
        bodydouble.Bord  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = "import sys, bodydouble; print([m for m in ('numpy', 'click', 'boto3', 'rich') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
