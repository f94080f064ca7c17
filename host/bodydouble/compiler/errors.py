"""What can be wrong with a model that the user gave."""

from __future__ import annotations

from bodydouble.errors import InputError


class ModelFileError(InputError):
    """The file is no readable .tflite model."""


class UnsupportedModelError(InputError):
    """The model holds an operation, a type or a shape that the board does not run."""
