"""A running service for the API's tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from bodydouble.cloud.server import CloudServer
from cloud.kit import Recogniser, client


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def cloud(recogniser: Recogniser) -> Iterator[CloudServer]:
    with CloudServer(recognise=recogniser) as server:
        yield server


@pytest.fixture(scope="module")
def bedrock(cloud: CloudServer) -> Iterator[Any]:
    with contextlib.closing(client(cloud.url)) as one:
        yield one
