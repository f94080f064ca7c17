"""The board types: one TOML file each, checked when it is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bodydouble.boards.errors import BoardFileError, UnknownBoardError
from bodydouble.resources import boards_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Described = TypeVar("Described", bound=BaseModel)
UsbId = Annotated[int, Field(ge=0, le=0xFFFF)]
FLASH_PAGE_BYTES = 4096


class MicroPythonImage(BaseModel):
    """The MicroPython image that a board runs, and the flash that it lies in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    board: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """MicroPython's name of the board: the folder that it is built from."""
    machine: str
    """What the image calls the board: `sys.implementation._machine` up to " with "."""
    flash_base: int = Field(ge=0, le=0xFFFFFFFF, multiple_of=FLASH_PAGE_BYTES)
    """Address of the flash's first byte."""
    flash_bytes: int = Field(gt=0, multiple_of=FLASH_PAGE_BYTES)
    filesystem_bytes: int = Field(gt=0, multiple_of=FLASH_PAGE_BYTES)
    """Size of the filesystem at the flash's end."""
    uf2_family: int = Field(gt=0, le=0xFFFFFFFF)
    download: str | None = Field(default=None, pattern=r"^https://.+\.uf2$")
    """The official image, pinned by version."""

    @property
    def program_bytes(self) -> int:
        """Flash below the filesystem."""
        return self.flash_bytes - self.filesystem_bytes

    @model_validator(mode="after")
    def _fits(self) -> MicroPythonImage:
        if self.filesystem_bytes >= self.flash_bytes:
            raise ValueError("the filesystem leaves no flash for the program")
        return self


class Usb(BaseModel):
    """How a board shows itself on USB."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vid: UsbId
    pids: tuple[UsbId, ...] = Field(min_length=1)
    """Running MicroPython."""
    bootsel_pids: tuple[UsbId, ...] = Field(min_length=1)
    """Waiting for an image."""
    touch_pids: tuple[UsbId, ...] = ()
    """Running another program that goes to BOOTSEL when its port is opened at 1200 baud."""
    manufacturer: str
    """What MicroPython's descriptor says."""
    drive: str
    """Board-ID in the INFO_UF2.TXT of its BOOTSEL drive; the drive's label, too."""
    bootsel_keeps_serial: bool
    """Whether the boot ROM shows the same serial number as MicroPython."""


class BoardType(BaseModel):
    """What is known of a type of board before one is opened."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Name
    description: str
    driver: Name
    """Which driver opens it."""
    port: Name
    """Which of the firmware's ports runs on it."""
    heap_bytes: int | None = Field(default=None, ge=65536, le=1 << 30)
    """Heap that an emulated board is given, or that a real one was seen to have; None where only the board knows."""
    tiers: tuple[Name, ...] = Field(min_length=1)
    """Kernel tiers, best first."""
    emulated: bool
    drift_ppm: float = Field(default=100.0, ge=0, le=10_000)
    """Most that its clock and the host's may drift apart."""
    arch: Name | None = None
    """mpy-cross's -march; None where only the board knows."""
    clock_hz: int | None = Field(default=None, gt=0)
    """The processor's clock as MicroPython sets it."""
    micropython: MicroPythonImage | None = None
    usb: Usb | None = None


def known_boards(folder: Path | None = None) -> list[BoardType]:
    """Every board type, sorted by name. BoardFileError where a file is no board."""
    folder = folder or boards_dir()
    return [_read(folder / f"{name}.toml") for name in _names(folder)]


def board_type(name: str, folder: Path | None = None) -> BoardType:
    """The board type of this name. UnknownBoardError names those that there are."""
    folder = folder or boards_dir()
    names = _names(folder)
    if name not in names:
        raise UnknownBoardError(f"no board {name!r}", hint=f"known boards: {', '.join(names)}")
    return _read(folder / f"{name}.toml")


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def read_file(path: Path, model: type[Described]) -> Described:
    """One of our TOML files, checked. BoardFileError names it, and the place in it that is wrong."""
    try:
        return model.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BoardFileError(f"cannot read {path}: {error.strerror}", hint="reinstall bodydouble") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BoardFileError(f"{path} is no TOML: {error}", hint="correct the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BoardFileError(f"{path}: {where}: {first['msg']}", hint="correct the file") from error


def _read(path: Path) -> BoardType:
    kind = read_file(path, BoardType)
    if kind.type != path.stem:
        raise BoardFileError(f"{path} describes {kind.type!r}", hint=f"name it {kind.type}.toml")
    return kind
