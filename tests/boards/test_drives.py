"""BOOTSEL drives on Linux, macOS and Windows: path logic on folders of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodydouble.boards.drives import board_id, find_drives, removable_letters
from support.desk import INFO, Desk


def test_a_drive_says_what_it_is(tmp_path: Path) -> None:
    assert board_id(tmp_path) == ""
    (tmp_path / "info_uf2.txt").write_text(INFO["RP2350"])
    assert board_id(tmp_path) == "RP2350"


@pytest.mark.parametrize(
    "text", ["", "Model: x\n", "Board-ID:\n", "\xff\xfe\x00" * 5000, "x" * 5000 + "\nBoard-ID: y"]
)
def test_a_file_that_says_nothing_is_no_drive(tmp_path: Path, text: str) -> None:
    (tmp_path / "INFO_UF2.TXT").write_text(text, "latin-1")
    assert board_id(tmp_path) == ""


def test_linux(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "root")
    assert find_drives("linux", desk.root) == []
    folder = desk.bootsel("2-1.3")
    desk.bootsel("3-1", mounted=False)
    mounted, other = find_drives("linux", desk.root)
    assert (mounted.path, mounted.board_id, mounted.device, mounted.location) == (
        folder,
        "RPI-RP2",
        "/dev/sda1",
        "2-1.3",
    )
    assert (other.path, other.board_id, other.device, other.location) == (None, "RPI-RP2", "/dev/sdb1", "3-1")
    desk.unplug("2-1.3")
    assert [drive.location for drive in find_drives("linux", desk.root)] == ["3-1"]


def test_linux_without_proc(tmp_path: Path) -> None:
    assert find_drives("linux", tmp_path) == []


def test_macos(tmp_path: Path) -> None:
    assert find_drives("darwin", tmp_path) == []
    for name, text in (("Macintosh HD", ""), ("RP2350", INFO["RP2350"]), ("RPI-RP2 1", INFO["RPI-RP2"])):
        (tmp_path / "Volumes" / name).mkdir(parents=True)
        if text:
            (tmp_path / "Volumes" / name / "INFO_UF2.TXT").write_text(text)
    drives = find_drives("darwin", tmp_path)
    assert [(drive.board_id, drive.path) for drive in drives] == [
        ("RP2350", tmp_path / "Volumes" / "RP2350"),
        ("RPI-RP2", tmp_path / "Volumes" / "RPI-RP2 1"),
    ]


def test_windows_looks_at_removable_drives_alone() -> None:
    asked: list[str] = []

    def kind(root: str) -> int:
        asked.append(root)
        return {"C:\\": 3, "D:\\": 2, "Z:\\": 4}[root]

    assert removable_letters(1 << 2 | 1 << 3 | 1 << 25, kind) == ["D"]
    assert asked == ["C:\\", "D:\\", "Z:\\"]
