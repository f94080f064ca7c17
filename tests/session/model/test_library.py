"""The library of models: names, files, folders and addresses; what is refused leaves nothing behind."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Protocol

import pytest

from bodydouble.compiler import ModelFileError
from bodydouble.errors import BodydoubleError, ExitCode, InputError
from bodydouble.resources import library_dir, write_atomically
from bodydouble.session.model import download
from bodydouble.session.model import library as library_module
from bodydouble.session.model.library import add_model, find_model, list_models
from bodydouble.session.words import find_word, models_dir
from support.graphs import RandomGraph

ALEXA = models_dir() / "alexa.tflite"
MANIFEST = models_dir() / "alexa.json"


class Handler(Protocol):
    wfile: IO[bytes]

    def send_response(self, code: int) -> None: ...
    def send_header(self, name: str, value: str) -> None: ...
    def end_headers(self) -> None: ...


def _redirect(to: str, handler: Handler) -> None:
    handler.send_response(302)
    handler.send_header("Location", to)
    handler.end_headers()


def _body(headers: dict[str, str], pieces: int, handler: Handler) -> None:
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    with suppress(OSError):
        for _ in range(pieces):
            handler.wfile.write(bytes(1000))
            STOPPED.wait(0.01)


STOPPED = threading.Event()
STRANGE: dict[str, Callable[[Handler], object]] = {
    "/moved.tflite": partial(_redirect, "/net.tflite"),
    "/loop.tflite": partial(_redirect, "/loop.tflite"),
    "/away.tflite": partial(_redirect, "file:///etc/passwd"),
    "/cut.tflite": partial(_body, {"Content-Length": "5000"}, 2),
    "/page.tflite": partial(_body, {"Content-Type": "text/html; charset=utf-8"}, 1),
    "/slow.tflite": partial(_body, {}, 1000),
    "/junk.tflite": lambda handler: handler.wfile.write(b"what is this\r\n\r\n"),
}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "library"
    monkeypatch.setenv("BODYDOUBLE_MODELS", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    path.mkdir()
    (path / "heyyou.tflite").write_bytes(ALEXA.read_bytes())
    (path / "heyyou.json").write_bytes(MANIFEST.read_bytes())
    (path / "net.tflite").write_bytes(RandomGraph(1).build())
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path in STRANGE:
                STRANGE[self.path](self)
            else:
                super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_the_community_words_are_there() -> None:
    found = {model.name: model for model in list_models()}
    assert found["alexa"].origin == "community"
    assert found["alexa"].purpose == "wake word 'Alexa'"
    assert find_model("alexa").path == ALEXA
    assert find_model(str(ALEXA)).origin == "file"


def test_a_file_with_its_manifest_is_a_wake_word_afterwards(folder: Path) -> None:
    (added,) = add_model(str(folder / "heyyou.tflite")).added
    assert (added.name, added.origin) == ("heyyou", "added")
    assert added.manifest["micro"]["probability_cutoff"] == 0.9
    assert find_model("heyyou").path == library_dir() / "heyyou.tflite"
    assert find_word("heyyou").probability_cutoff == 0.9
    (renamed,) = add_model(str(folder / "heyyou.json"), name="other").added
    assert renamed.read() == ALEXA.read_bytes()
    assert renamed.manifest["model"] == "other.tflite"


def test_a_folder(folder: Path) -> None:
    assert [model.name for model in add_model(str(folder)).added] == ["heyyou", "net"]
    assert {"heyyou", "net"} <= {model.name for model in list_models() if model.origin == "added"}


def test_a_folder_with_bad_files_adds_the_others(folder: Path) -> None:
    (folder / "bad.tflite").write_bytes(b"nonsense")
    (folder / "sub.tflite").mkdir()
    (folder / "wörld wide.tflite").write_bytes(ALEXA.read_bytes())
    done = add_model(str(folder))
    assert {model.name for model in done.added} == {"heyyou", "net"}
    assert {path.name for path in library_dir().glob("*.tflite")} == {"heyyou.tflite", "net.tflite"}
    first, second = map(str, done.refused)
    assert "bad.tflite is no TensorFlow Lite model" in first
    assert second.startswith("'wörld wide' cannot be a model's name") and "--name world_wide" in second


def test_a_folder_of_bad_files_only(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"nonsense")
    with pytest.raises(ModelFileError, match=r"bad\.tflite is no TensorFlow Lite model"):
        add_model(str(tmp_path))


def test_addresses(server: str, folder: Path) -> None:
    """A model's, or a manifest's that names the model beside it."""
    (plain,) = add_model(f"{server}/net.tflite").added
    assert plain.read() == (folder / "net.tflite").read_bytes()
    manifest = json.loads(MANIFEST.read_text()) | {"model": "heyyou.tflite"}
    (folder / "v2.json").write_text(json.dumps(manifest))
    (word,) = add_model(f"{server}/v2.json").added
    assert (word.name, word.manifest["source"]) == ("heyyou", f"{server}/v2.json")


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("gone.tflite", None, "cannot be fetched"),
        ("list.json", b"[1]", "is no model's manifest"),
        ("bare.json", b"{}", "names no model"),
        ("away.json", b'{"model": "file:///etc/passwd"}', "is no web address"),
        ("text.tflite", b"hello", "is no TensorFlow Lite model"),
        ("gone.tflite", None, "the server says 404"),
        ("loop.tflite", None, "it redirects without end"),
        ("away.tflite", None, "it redirects without end, or to where it may not"),
        ("cut.tflite", None, "only 2,000 of 5,000 bytes arrived"),
        ("page.tflite", None, "is a web page, no model"),
        ("slow.tflite", None, "did not arrive within 0.2 s"),
        ("junk.tflite", None, "cannot be fetched: what is this"),
        ("wörld.tflite", None, "the server says 404"),
        ("wör ld.tflite", b"hello", "is no TensorFlow Lite model|cannot be a model's name"),
    ],
)
def test_addresses_that_lead_nowhere(
    server: str, folder: Path, path: str, content: bytes | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "slow.tflite":
        monkeypatch.setattr(download.fetch, "__defaults__", (0.2,))
    if content is not None:
        (folder / path).write_bytes(content)
    with pytest.raises(BodydoubleError, match=words) as caught:
        add_model(f"{server}/{path}")
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)
    assert not list(library_dir().glob("[!.]*")) if library_dir().exists() else True


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:1/m.tflite", "Connection refused"),
        ("http://[bad/m.tflite", "Invalid IPv6 URL"),
        ("http:///m.tflite", "no host"),
        ("http://127.0.0.1:port/m.tflite", "nonnumeric port"),
        ("http://a b/m.tflite", "cannot be fetched"),
        ("ftp://127.0.0.1/m.tflite", "only http and https are fetched"),
        ("file:///etc/passwd", "only http and https are fetched"),
    ],
)
def test_addresses_that_are_none(address: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        add_model(address)
    assert "\n" not in str(caught.value)


def test_redirects_and_names_in_addresses(server: str, folder: Path) -> None:
    net = (folder / "net.tflite").read_bytes()
    (folder / "my net.tflite").write_bytes(net)
    (folder / "nét.json").write_text('{"model": "my net.tflite"}')
    assert add_model(f"{server}/moved.tflite").added[0].read() == net
    assert add_model(f"{server}/nét.json", name="a").added[0].read() == net
    with pytest.raises(InputError, match=r"'my net' cannot be a model's name.*--name my_net"):
        add_model(f"{server}/my%20net.tflite")


def test_two_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that add the same name at the same time exactly one succeeds; its manifest is the model's own."""
    written = threading.Event()

    def slowly(path: Path, data: bytes) -> None:
        written.wait(0.05)
        write_atomically(path, data)

    monkeypatch.setattr(library_module, "write_atomically", slowly)
    errors: list[str] = []

    def add(name: str) -> None:
        try:
            add_model(str(folder / name), name="same")
        except InputError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=add, args=(name,)) for name in ("net.tflite", "heyyou.tflite", "net.tflite")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 2 and all("is there already (added)" in error for error in errors)
    (model,) = [model for model in list_models() if model.name == "same"]
    assert model.manifest["sha256"] == hashlib.sha256(model.read()).hexdigest()


def test_a_library_that_cannot_be_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BODYDOUBLE_MODELS", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written: .*set BODYDOUBLE_MODELS"):
        add_model(str(folder / "net.tflite"))


@pytest.mark.parametrize("manifest", ["[1]", "{", '{"type": 5, "micro": 3, "labels": 7, "model": 5}', "\0"])
def test_a_damaged_manifest_hides_no_model(manifest: str) -> None:
    """Neither that one nor the others."""
    library_dir().mkdir()
    (library_dir() / "odd.tflite").write_bytes(ALEXA.read_bytes())
    (library_dir() / "odd.json").write_text(manifest)
    found = {model.name: model for model in list_models()}
    assert found["odd"].purpose and found["odd"].labels == []
    assert found["alexa"].purpose == "wake word 'Alexa'"


def test_names(folder: Path) -> None:
    add_model(str(folder / "net.tflite"))
    for name, words in (
        ("net", r"a model called net is there already \(added\) \(give another --name, or --replace\)"),
        ("alexa", r"a model called alexa is there already \(community\) \(give another --name\)"),
        ("../escape", "cannot be a model's name"),
        (".hidden", "cannot be a model's name"),
        ("x" * 25, "at most 24"),
    ):
        with pytest.raises(InputError, match=words):
            add_model(str(folder / "net.tflite"), name=name)
    (again,) = add_model(str(folder / "heyyou.tflite"), name="net", replace=True).added
    assert again.read() == ALEXA.read_bytes()
    with pytest.raises(InputError, match="--name fits one model"):
        add_model(str(folder), name="both")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model is called 'nobody' .*alexa"):
        find_model("nobody")
    with pytest.raises(InputError, match="no such model file"):
        find_model(str(tmp_path / "none.tflite"))
    for name, near in (
        ("alexxa", "alexa"),
        ("Alexa", "alexa"),
        ("hey_jarvs", "hey_jarvis"),
        ("OKAY_NABU", "okay_nabu"),
    ):
        with pytest.raises(InputError, match=rf"did you mean {near}\?"):
            find_model(name)
    with pytest.raises(InputError, match=r"is a folder \(give the path of a \.tflite file in it\)"):
        find_model(str(tmp_path))
    with pytest.raises(
        InputError, match=r"'/nowhere/x': no such file \(give a \.tflite file, a folder of them, or a URL"
    ):
        add_model("/nowhere/x")
    with pytest.raises(InputError, match="no such file"):
        add_model("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.tflite file"):
        add_model(str(tmp_path / "empty"))
