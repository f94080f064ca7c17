"""Fetches a model, or a manifest and the model that it names, from the web."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin

from bodydouble.errors import InputError

DOWNLOAD_S = 30.0
"""For the whole of a file: a server that sends a byte now and then is given up, too."""
_PIECE_BYTES = 1 << 16
_URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"


def is_address(source: str) -> bool:
    """True for what begins like a URL of any kind."""
    return "://" in source


def file_name(url: str) -> str:
    """The last part of a URL's path, as people read it."""
    return PurePosixPath(unquote(url.partition("#")[0].partition("?")[0])).name


def beside(url: str, name: str) -> str:
    """The URL of `name` as seen from `url`."""
    return urljoin(url, quote(name, safe=_URL_CHARACTERS))


def fetch(url: str, most: int, timeout_s: float = DOWNLOAD_S) -> bytes:
    """At most `most` bytes from an http or https URL; raises InputError in one line, whatever the server does."""
    if url.split(":", 1)[0].lower() not in ("http", "https"):
        raise InputError(f"{url} is no web address", hint="only http and https are fetched; else give a file")
    try:
        with urllib.request.urlopen(quote(url, safe=_URL_CHARACTERS), timeout=timeout_s) as answer:  # noqa: S310
            if answer.headers.get_content_type() == "text/html":
                raise InputError(f"{url} is a web page, no model", hint="give the address of the file itself")
            data = _read(answer, most, timeout_s)
            length = answer.headers.get("Content-Length", "")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(f"{url} cannot be fetched: {_why(error, timeout_s)}", hint="check the address") from error
    if len(data) > most:
        raise InputError(f"{url}: more than {most:,} bytes", hint="boards run small models")
    if length.isdecimal() and len(data) < int(length):
        raise InputError(f"{url}: only {len(data):,} of {int(length):,} bytes arrived", hint="try again")
    return data


def _read(answer: http.client.HTTPResponse, most: int, timeout_s: float) -> bytes:
    until = time.monotonic() + timeout_s
    data = b""
    while len(data) <= most and (piece := answer.read1(_PIECE_BYTES)):
        data += piece
        if time.monotonic() > until:
            raise TimeoutError
    return data


def _why(error: Exception, timeout_s: float) -> str:
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, TimeoutError):
        return f"it did not arrive within {timeout_s:g} s"
    if isinstance(error, urllib.error.HTTPError):
        if 300 <= error.code < 400:
            return "it redirects without end, or to where it may not"
        return f"the server says {error.code} {error.reason}"
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())
