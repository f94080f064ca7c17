"""What can go wrong with a build."""

from __future__ import annotations

from bodydouble.errors import BoardError, FirmwareError, InputError


class UnknownBuildError(InputError):
    """There is no recipe for a board of this type."""


class SourceError(InputError):
    """What was given as MicroPython's sources is none."""


class NotRootError(InputError):
    """Packages can be installed by root only."""


class BuildBusyError(BoardError):
    """Another process makes the same build."""


class PackagesMissingError(FirmwareError):
    """Tools that a build needs are not there."""


class ArchiveError(FirmwareError):
    """Debian's archive cannot be reached through apt, or lacks something."""


class BuildFailedError(FirmwareError):
    """A step of a build failed."""
