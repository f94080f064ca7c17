"""Where an emulated Pico's image comes from: named, in the cache, downloaded, or built."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodydouble.boards.building import store
from bodydouble.boards.building.errors import PackagesMissingError
from bodydouble.boards.errors import ImageError, MissingImageError, NoImageError
from bodydouble.boards.images import VARIABLE, fetch, find_image, obtain_image
from bodydouble.boards.inventory import board_type
from bodydouble.boards.uf2 import wrap

PICO = board_type("pico-sim")
assert PICO.micropython is not None
DOWNLOAD = PICO.micropython.download
assert DOWNLOAD is not None
CONTENTS = b"not a program, but its size is right" * 20
UF2 = wrap(CONTENTS, PICO.micropython).to_uf2()


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))


def refuse(url: str) -> bytes:
    raise OSError(f"{url} cannot be fetched: no way there")


def never(what: str) -> store.Built:
    raise AssertionError(f"{what} was not to be built")


def no_compiler(board: str) -> store.Built:
    raise PackagesMissingError("tools are missing: gcc-arm-none-eabi", hint="apt-get install gcc-arm-none-eabi")


def build(board: str) -> store.Built:
    return store.keep("pico", {"firmware.bin": CONTENTS, "firmware.uf2": UF2}, version="1.26.1", recipe="made here")


def test_the_one_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build("pico")
    (tmp_path / "mine.bin").write_bytes(CONTENTS[:300])
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine.bin"))
    assert len(find_image(PICO).to_uf2()) < len(UF2)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone.bin"))
    with pytest.raises(ImageError, match=r"cannot read .*gone\.bin"):
        obtain_image(PICO, refuse, never)


def test_without_any_the_cure_is_told() -> None:
    with pytest.raises(MissingImageError) as caught:
        find_image(PICO)
    assert str(caught.value) == (
        "there is no MicroPython image for the pico-sim board (bodydouble boards build pico-sim, or set"
        " BODYDOUBLE_PICO_IMAGE to one)"
    )
    assert caught.value.exit_code == 2


def test_a_build_is_found_and_nothing_is_fetched() -> None:
    build("pico")
    assert obtain_image(PICO, refuse, never).to_uf2() == UF2


def test_the_official_image_is_fetched_once_and_its_hash_is_told(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def download(url: str) -> bytes:
        asked.append(url)
        return UF2

    caplog.set_level("INFO", "bodydouble.boards")
    for _ in range(3):
        assert obtain_image(PICO, download, never).to_uf2() == UF2
    assert asked == [DOWNLOAD]
    assert "sha256 " in caplog.text


def test_a_download_that_changed_in_the_cache_is_refused(tmp_path: Path) -> None:
    obtain_image(PICO, lambda _: UF2, never)
    (kept,) = (tmp_path / "cache" / "images").glob("*.uf2")
    kept.write_bytes(UF2[:-512] + b"\0" * 512)
    with pytest.raises(NoImageError, match=r"is not what was downloaded.*delete it, and run this again"):
        obtain_image(PICO, refuse, never)


@pytest.mark.parametrize("sent", [b"<html>sign in first</html>", b"", UF2[:-1], UF2[:512]])
def test_what_is_no_image_is_not_kept_and_one_is_built(sent: bytes, tmp_path: Path) -> None:
    assert obtain_image(PICO, lambda _: sent, build).to_uf2() == UF2
    assert not list((tmp_path / "cache" / "images").glob("*.uf2"))


def test_where_neither_works_both_reasons_are_told() -> None:
    with pytest.raises(NoImageError) as caught:
        obtain_image(PICO, refuse, no_compiler)
    assert str(caught.value) == (
        f"there is no MicroPython image for the pico-sim board: {DOWNLOAD} cannot be fetched: no way there; tools are"
        " missing: gcc-arm-none-eabi (apt-get install gcc-arm-none-eabi; or set BODYDOUBLE_PICO_IMAGE to a .uf2 or"
        " .bin)"
    )
    assert caught.value.exit_code == 2


def test_an_address_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "https://example.org/mine.uf2")
    assert find_image(PICO, lambda _: UF2).to_uf2() == UF2
    assert find_image(PICO, refuse).to_uf2() == UF2
    monkeypatch.setenv(VARIABLE, "https://example.org/other.uf2")
    with pytest.raises(NoImageError, match=r"BODYDOUBLE_PICO_IMAGE: .*no way there \(correct it, or name a file\)"):
        find_image(PICO, refuse)


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(UF2)))
        self.end_headers()
        self.wfile.write(UF2 if self.path == "/whole" else UF2[:100])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_fetching(site: str) -> None:
    assert fetch(f"{site}/whole") == UF2
    for path, said in (("gone", "the server says 404"), ("cut", "cut")):
        with pytest.raises(OSError, match=said) as caught:
            fetch(f"{site}/{path}")
        assert "\n" not in str(caught.value)
    with pytest.raises(OSError, match="is no web address"):
        fetch("file:///etc/passwd")
    with pytest.raises(OSError, match="cannot be fetched"):
        fetch("http://127.0.0.1:1/nobody")
