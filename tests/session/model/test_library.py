"""The library of models: names, files, folders and addresses; what is refused leaves nothing behind."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bodydouble.compiler import ModelFileError
from bodydouble.errors import BodydoubleError, ExitCode, InputError
from bodydouble.resources import library_dir
from bodydouble.session.model.library import add_model, find_model, list_models
from bodydouble.session.words import find_word, models_dir
from support.graphs import RandomGraph

ALEXA = models_dir() / "alexa.tflite"
MANIFEST = models_dir() / "alexa.json"


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

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
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
    (added,) = add_model(str(folder / "heyyou.tflite"))
    assert (added.name, added.origin) == ("heyyou", "added")
    assert added.manifest["micro"]["probability_cutoff"] == 0.9
    assert find_model("heyyou").path == library_dir() / "heyyou.tflite"
    assert find_word("heyyou").probability_cutoff == 0.9
    (renamed,) = add_model(str(folder / "heyyou.json"), name="other")
    assert renamed.read() == ALEXA.read_bytes()
    assert renamed.manifest["model"] == "other.tflite"


def test_a_folder(folder: Path) -> None:
    assert [model.name for model in add_model(str(folder))] == ["heyyou", "net"]
    assert {"heyyou", "net"} <= {model.name for model in list_models() if model.origin == "added"}


def test_a_folder_with_a_bad_file_adds_the_others(folder: Path) -> None:
    (folder / "bad.tflite").write_bytes(b"nonsense")
    with pytest.raises(ModelFileError, match=r"bad\.tflite is no TensorFlow Lite model"):
        add_model(str(folder))
    assert {path.name for path in library_dir().glob("*.tflite")} == {"heyyou.tflite", "net.tflite"}


def test_addresses(server: str, folder: Path) -> None:
    """A model's, or a manifest's that names the model beside it."""
    (plain,) = add_model(f"{server}/net.tflite")
    assert plain.read() == (folder / "net.tflite").read_bytes()
    manifest = json.loads(MANIFEST.read_text()) | {"model": "heyyou.tflite"}
    (folder / "v2.json").write_text(json.dumps(manifest))
    (word,) = add_model(f"{server}/v2.json")
    assert (word.name, word.manifest["source"]) == ("heyyou", f"{server}/v2.json")


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("gone.tflite", None, "cannot be fetched"),
        ("list.json", b"[1]", "is no model's manifest"),
        ("bare.json", b"{}", "names no model"),
        ("away.json", b'{"model": "file:///etc/passwd"}', "is no web address"),
        ("text.tflite", b"hello", "is no TensorFlow Lite model"),
    ],
)
def test_addresses_that_lead_nowhere(server: str, folder: Path, path: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (folder / path).write_bytes(content)
    with pytest.raises(BodydoubleError, match=words) as caught:
        add_model(f"{server}/{path}")
    assert caught.value.exit_code == ExitCode.USAGE
    assert not list(library_dir().glob("*")) if library_dir().exists() else True


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
    (again,) = add_model(str(folder / "heyyou.tflite"), name="net", replace=True)
    assert again.read() == ALEXA.read_bytes()
    with pytest.raises(InputError, match="--name fits one model"):
        add_model(str(folder), name="both")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model is called 'nobody' .*alexa"):
        find_model("nobody")
    with pytest.raises(InputError, match="no such model file"):
        find_model(str(tmp_path / "none.tflite"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.tflite file"):
        add_model(str(tmp_path / "empty"))
