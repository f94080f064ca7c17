"""The client of the model: boto3's `bedrock-runtime`, for the simulated cloud and for the real service.

boto3 takes about half a second to import and to make its first client, so it is imported on first use;
`prewarm` does that in a thread while the board starts.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any, Protocol, cast

from bodydouble.errors import CloudError, InputError

DEFAULT_REGION = "us-east-1"
CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 30.0
MAX_ATTEMPTS = 2  # botocore's own default of 3 turns a throttled request into seconds of silence

_MAX_DETAIL = 200  # characters of a service's own words that a message repeats
_prewarm_lock = threading.Lock()


class ConverseClient(Protocol):
    """The one operation that the phone needs; boto3's client has it, and so does a scripted one in a test."""

    def converse_stream(self, **request: Any) -> Mapping[str, Any]:
        """Bedrock's ConverseStream: the response's head, with the events under `stream`."""


class CloudCallError(CloudError):
    """A call of the model failed; `code` names the failure (the service's error code, or the client's).

    `actions` are those that were carried out in the same turn before it failed, `transcript` what was understood.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str,
        actions: Iterable[Mapping[str, Any]] = (),
        transcript: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.actions = tuple(actions)
        self.transcript = transcript

    def after(self, actions: Iterable[Mapping[str, Any]], transcript: str | None = None) -> CloudCallError:
        """The same failure, saying what was understood and which tools had been carried out when it came."""
        actions = tuple(actions)
        done = [str(action["tool"]) for action in actions if action["result"].get("status") == "ok"]
        message = f"{self.message}; done before that: {', '.join(done)}" if done else self.message
        return CloudCallError(message, code=self.code, hint=self.hint, actions=actions, transcript=transcript)


def make_client(
    endpoint_url: str | None = None,
    *,
    region: str | None = None,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    read_timeout_s: float = READ_TIMEOUT_S,
    max_attempts: int = MAX_ATTEMPTS,
) -> ConverseClient:
    """A client of the service at `endpoint_url`; of the real one, with the user's AWS credentials, when None.

    For an endpoint the user's AWS files, profile, bearer token and proxies are left alone and the request is
    signed by dummy credentials: it must work on a machine that knows nothing of AWS, and give nothing away.
    `max_attempts` counts the first one. Raises CloudError, and InputError where the URL is none.
    """
    import botocore.exceptions  # noqa: PLC0415  slow to import
    from botocore.config import Config  # noqa: PLC0415

    options: dict[str, Any] = {
        "connect_timeout": connect_timeout_s,
        "read_timeout": read_timeout_s,
        "retries": {"total_max_attempts": max_attempts, "mode": "standard"},
    }
    if endpoint_url is not None:
        # An explicit signature keeps botocore from sending AWS_BEARER_TOKEN_BEDROCK, which it refuses over http.
        options |= {"proxies": {}, "signature_version": "v4"}
    try:
        with _prewarm_lock:  # botocore's sessions are not made for several threads
            client = _session(endpoint_url is not None).client(
                "bedrock-runtime", endpoint_url=endpoint_url, region_name=region, config=Config(**options)
            )
    except ValueError as error:
        raise InputError(
            f"{endpoint_url!r} is no address of a cloud", hint="write it like http://127.0.0.1:8080"
        ) from error
    except botocore.exceptions.BotoCoreError as error:
        raise explain(error) from error
    return cast("ConverseClient", client)


def prewarm() -> None:
    """Import boto3 and read its service model, so that the first `make_client` of an endpoint is quick."""
    make_client("http://127.0.0.1:9")


@lru_cache(maxsize=2)
def _session(emulated: bool) -> Any:
    import boto3  # noqa: PLC0415  slow to import
    import botocore.session  # noqa: PLC0415

    if not emulated:
        session = boto3.Session()
        return session if session.region_name else boto3.Session(region_name=DEFAULT_REGION)
    nothing = (None, None, os.devnull, None)
    isolated = botocore.session.Session(
        session_vars={"profile": (None, None, None, None), "config_file": nothing, "credentials_file": nothing}
    )
    return boto3.Session(
        botocore_session=isolated,
        aws_access_key_id="bodydouble",
        aws_secret_access_key="bodydouble",  # noqa: S106  the emulated service checks none
        region_name=DEFAULT_REGION,
    )


# The service's error code -> what happened, what cures it.
_SERVICE = {
    "throttling": ("the cloud throttled the request", "wait a moment and try again, or ask for a larger quota"),
    "toomanyrequests": ("the cloud throttled the request", "wait a moment and try again, or ask for a larger quota"),
    "servicequotaexceeded": ("the cloud's quota is used up", "ask for a larger quota"),
    "serviceunavailable": ("the cloud is overloaded", "try again in a moment"),
    "modelnotready": ("the model is not ready yet", "try again in a moment"),
    "modeltimeout": ("the model took too long", "try again, or choose a faster --cloud-model"),
    "modelerror": ("the model failed", "try again, or choose another --cloud-model"),
    "modelstreamerror": (
        "the model failed in the middle of its answer",
        "try again, or choose another --cloud-model",
    ),
    "internalserver": ("the cloud failed inside", "try again in a moment"),
    "validation": (
        "the cloud rejected the request",
        "this model may not take tools or audio: try another --cloud-model, or --asr phone",
    ),
    "accessdenied": ("the cloud denied access", "ask for the model and for bedrock:InvokeModelWithResponseStream"),
    "resourcenotfound": ("the cloud has no such model", "check --cloud-model and the region"),
    "expiredtoken": ("the AWS credentials have expired", "sign in again: aws sso login"),
    "unrecognizedclient": ("the AWS credentials are not valid", "check them: aws sts get-caller-identity"),
    "invalidsignature": ("the AWS credentials are not valid", "check them: aws sts get-caller-identity"),
}
# The client's exception -> the same; the nearest class of its ancestry counts.
_CLIENT = {
    "ConnectTimeoutError": ("the cloud did not answer in time", "check the address and the network"),
    "ReadTimeoutError": ("the cloud fell silent", "try again, or choose a faster --cloud-model"),
    "EndpointConnectionError": (
        "the cloud could not be reached",
        "check the address and that it runs; or --cloud sim",
    ),
    "ProxyConnectionError": ("the proxy could not be reached", "check HTTPS_PROXY"),
    "SSLError": ("the cloud's certificate could not be checked", "check the address, or set AWS_CA_BUNDLE"),
    "ConnectionClosedError": ("the cloud closed the connection", "try again"),
    "HTTPClientError": ("the connection to the cloud failed", "try again"),
    "IncompleteReadError": ("the cloud's answer broke off", "try again"),
    "ResponseStreamingError": ("the cloud's answer broke off", "try again"),
    "HTTPError": ("the cloud's answer broke off", "try again"),
    "OSError": ("the connection to the cloud failed", "try again"),
    "ParserError": ("what answers there is no Bedrock service", "check the address"),
    **dict.fromkeys(
        ("ValueError", "LookupError", "TypeError", "AttributeError", "error"),  # the last is struct's
        ("what answers there is no Bedrock service", "check the address"),
    ),
    "ResponseParserError": ("what answers there is no Bedrock service", "check the address"),
    "NoCredentialsError": ("there are no AWS credentials", "sign in: aws configure; or use --cloud sim"),
    "CredentialRetrievalError": ("the AWS credentials could not be read", "sign in again; or use --cloud sim"),
    "PartialCredentialsError": ("the AWS credentials are not complete", "see aws configure; or use --cloud sim"),
    "TokenRetrievalError": ("the AWS sign-in has expired", "sign in again: aws sso login"),
    "UnauthorizedSSOTokenError": ("the AWS sign-in has expired", "sign in again: aws sso login"),
    "ProfileNotFound": ("there is no such AWS profile", "check AWS_PROFILE"),
    "NoRegionError": ("no AWS region is set", "set AWS_REGION"),
    "ParamValidationError": ("the request does not fit the service", "this is a defect of bodydouble: report it"),
}
_OTHER = ("the cloud could not be used", "check the address and the credentials")


@contextmanager
def _explained() -> Iterator[None]:
    """Around botocore's own code, and nothing else: whatever it raises becomes one line."""
    import botocore.eventstream  # noqa: PLC0415  slow to import
    import botocore.exceptions  # noqa: PLC0415
    import botocore.parsers  # noqa: PLC0415
    import urllib3.exceptions  # noqa: PLC0415

    try:
        yield
    except (
        botocore.exceptions.BotoCoreError,
        botocore.exceptions.ClientError,
        botocore.eventstream.ParserError,
        botocore.parsers.ResponseParserError,
        urllib3.exceptions.HTTPError,  # raised as it is while a stream is read
        OSError,
        # From botocore's parsers, on an answer that is no text, no JSON, or JSON of another shape:
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        struct.error,
    ) as error:
        raise explain(error) from error


def begin_answer(client: ConverseClient, **request: Any) -> Mapping[str, Any]:
    """Send a request; returns the response's head with its stream. Raises CloudCallError."""
    with _explained():
        return client.converse_stream(**request)


def read_events(stream: Iterable[Mapping[str, Any]]) -> Generator[Mapping[str, Any], None, None]:
    """The events of an answer as they come; the stream is closed at the end. Raises CloudCallError."""
    with ExitStack() as stack:
        stack.callback(getattr(stream, "close", lambda: None))
        with _explained():
            events = iter(stream)
        while True:
            with _explained():
                event = next(events, None)
            if event is None:
                return
            yield event


def explain(error: Exception) -> CloudCallError:
    """The one line for `error`, raised by botocore or below it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        details = response.get("Error", {})
        code, words = str(details.get("Code", "")), str(details.get("Message", ""))
        bare = code.removesuffix("Exception").casefold()
        what, hint = _SERVICE.get(bare, (f"the cloud refused ({code or 'no code'})", "check --cloud-model"))
    else:
        code, words = type(error).__name__, str(error)
        ancestry = (_CLIENT[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CLIENT)
        what, hint = next(ancestry, _OTHER)
    words = " ".join(words.split())
    if len(words) > _MAX_DETAIL:
        words = words[:_MAX_DETAIL] + "..."
    return CloudCallError(f"{what}: {words}" if words else what, code=code, hint=hint)
