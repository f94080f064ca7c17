"""Which cloud answers, from what the user wrote."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from bodydouble.cloud.brain.registry import Registry
from bodydouble.cloud.errors import CloudStartError
from bodydouble.cloud.server import CloudServer
from bodydouble.errors import ExitCode, InputError
from bodydouble.session.cloud import Cloud
from cloud.kit import audio, client, encoded, tone, user


@pytest.mark.parametrize(
    ("text", "kind", "url"),
    [
        ("sim", "sim", None),
        ("none", "none", None),
        ("bedrock", "bedrock", None),
        ("http://127.0.0.1:8080", "url", "http://127.0.0.1:8080"),
        ("https://example.org/bedrock", "url", "https://example.org/bedrock"),
    ],
)
def test_kinds(text: str, kind: str, url: str | None) -> None:
    cloud = Cloud.parse(text)
    assert (cloud.kind, cloud.url) == (kind, url)
    assert cloud.describe()["kind"] == kind


def test_an_unknown_one_is_one_line() -> None:
    with pytest.raises(InputError) as caught:
        Cloud.parse("aws")
    assert str(caught.value) == "--cloud 'aws' is not known (use sim, none, bedrock or an http(s):// URL)"
    assert caught.value.exit_code == ExitCode.USAGE


def test_only_the_simulated_one_can_be_made_to_fail() -> None:
    with pytest.raises(InputError, match="only the simulated cloud can be made to fail"):
        Cloud.parse("bedrock", fault="throttle").check()


@pytest.mark.parametrize("options", [{"fleet": "abacus:3"}, {"model": "hal-9000"}, {"fault": "earthquake"}])
def test_what_the_simulated_one_lacks_is_said_before_anything_runs(options: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        Cloud.parse("sim", **options).check()
    assert caught.value.hint


def test_the_simulated_one_listens_only_while_it_is_open() -> None:
    cloud = Cloud()
    with cloud:
        assert cloud.url
        assert cloud.url.startswith("http://127.0.0.1:")
    assert cloud.url is None


@pytest.mark.parametrize(
    ("where", "model", "model_id"),
    [
        ("bedrock", None, "us.meta.llama3-3-70b-instruct-v1:0"),
        ("bedrock", "llama-3.1-8b", "us.meta.llama3-1-8b-instruct-v1:0"),
        ("bedrock", "meta.llama3-8b-instruct-v1:0", "meta.llama3-8b-instruct-v1:0"),
        ("bedrock", "eu.amazon.nova-lite-v1:0", "eu.amazon.nova-lite-v1:0"),
        ("http://127.0.0.1:9", None, "meta.llama3-3-70b-instruct-v1:0"),
        ("http://127.0.0.1:9", "my-own", "my-own"),
        ("sim", None, "meta.llama3-3-70b-instruct-v1:0"),
    ],
)
def test_a_client_asks_for_an_id_that_the_service_knows(where: str, model: str | None, model_id: str) -> None:
    assert Cloud.parse(where, **({"model": model} if model else {})).model_id == model_id


def test_it_stops_when_the_last_one_leaves() -> None:
    """A session enters the cloud that its caller has opened, and leaves it first."""
    cloud = Cloud()
    with cloud:
        url = str(cloud.url)
        for _ in range(2):
            with cloud as same:
                assert same.url == url
            assert cloud.url == url
            assert listens(url)
    assert not listens(url)
    with cloud as again:
        assert listens(str(again.url))
    assert cloud.url is None


@pytest.mark.parametrize("late", [False, True])
def test_speech_recognition_may_be_set_after_the_service_was_made(late: bool) -> None:
    """As a session does with the cloud that it is given."""

    def recognise(samples: NDArray[np.int16], names: Registry) -> str:
        del samples, names
        return "hello"

    cloud = Cloud()
    cloud.check()
    model = cloud.model_id
    if not late:
        cloud.recognise = recognise
    with cloud:
        cloud.prewarm()
        cloud.recognise = recognise
        with closing(client(str(cloud.url))) as bedrock:
            spoken = [user(audio(encoded(tone(), "wav")))]
            response = bedrock.converse(modelId=model, messages=spoken)
            assert response["output"]["message"]["content"][0]["text"].startswith("Hello!")
            cloud.recognise = None
            with pytest.raises(bedrock.exceptions.ValidationException, match="no speech recogniser"):
                bedrock.converse(modelId=model, messages=spoken)


def test_an_entry_that_failed_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise CloudStartError("no", hint="none")

    cloud = Cloud()
    with monkeypatch.context() as patch:
        patch.setattr(CloudServer, "start", refuse)
        with pytest.raises(CloudStartError), cloud:
            pass
    with cloud:
        assert cloud.url
    assert cloud.url is None


def listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
