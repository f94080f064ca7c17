"""Converse's request: its shape, and the rules that Bedrock checks before a model sees it.

Unknown fields are ignored, as Bedrock does. Messages quote Bedrock's own wording where it is known.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from bodydouble.cloud.errors import ServiceError, invalid

MAX_TOOLS = 256
MAX_MESSAGES = 2000
_MAX_DETAIL = 200  # characters of a peer's own values that a message repeats

ToolName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
ToolUseId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.:-]+$")]
AudioFormat = Literal[
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"
]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, alias_generator=to_camel)


class AudioSource(_Shape):
    """Where the audio is: base64 text, or a place in S3."""

    bytes_: str | None = Field(None, alias="bytes")
    s3_location: Any = None


class AudioBlock(_Shape):
    """A recording."""

    format: AudioFormat
    source: AudioSource


class ToolUseBlock(_Shape):
    """A tool that the model asked for."""

    tool_use_id: ToolUseId
    name: ToolName
    input: Any


class ToolResultContent(_Shape):
    """One part of a tool's result; what is neither text nor JSON is kept but not read."""

    text: str | None = None
    data: Any = Field(None, alias="json")
    image: Any = None
    document: Any = None
    video: Any = None


class ToolResultBlock(_Shape):
    """What a tool gave back."""

    tool_use_id: ToolUseId
    content: list[ToolResultContent]
    status: Literal["success", "error"] | None = None


class ContentBlock(_Shape):
    """A union: exactly one member is set."""

    text: str | None = None
    audio: AudioBlock | None = None
    image: Any = None
    document: Any = None
    video: Any = None
    tool_use: ToolUseBlock | None = None
    tool_result: ToolResultBlock | None = None
    guard_content: Any = None
    cache_point: Any = None
    reasoning_content: Any = None
    citations_content: Any = None
    search_result: Any = None

    @property
    def members(self) -> list[str]:
        """The members that are set, by their names in JSON."""
        return [to_camel(name) for name in type(self).model_fields if getattr(self, name) is not None]


class Message(_Shape):
    """One message of the conversation."""

    role: Literal["user", "assistant"]
    content: list[ContentBlock]

    @property
    def tool_uses(self) -> list[ToolUseBlock]:
        """The tools that this message asks for."""
        return [block.tool_use for block in self.content if block.tool_use is not None]

    @property
    def tool_results(self) -> list[ToolResultBlock]:
        """The results that this message brings."""
        return [block.tool_result for block in self.content if block.tool_result is not None]

    @property
    def text(self) -> str:
        """All text of it, joined by spaces."""
        return " ".join(block.text for block in self.content if block.text is not None)


class SystemBlock(_Shape):
    """A part of the system prompt."""

    text: Annotated[str, Field(min_length=1)] | None = None
    guard_content: Any = None
    cache_point: Any = None


class InputSchema(_Shape):
    """A tool's JSON schema."""

    document: dict[str, Any] = Field(alias="json")


class ToolSpec(_Shape):
    """A tool on offer."""

    name: ToolName
    description: Annotated[str, Field(min_length=1)] | None = None
    input_schema: InputSchema

    @property
    def properties(self) -> dict[str, Any]:
        """The schema's properties, by name; empty where it has none."""
        properties = self.input_schema.document.get("properties")
        return properties if isinstance(properties, dict) else {}

    def enum(self, name: str) -> tuple[str, ...]:
        """The strings that property `name` may take, in order; empty where the schema does not list them."""
        schema = self.properties.get(name)
        values = schema.get("enum") if isinstance(schema, dict) else None
        return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


class Tool(_Shape):
    """A union; `systemTool` and `cachePoint` are taken and not used."""

    tool_spec: ToolSpec | None = None
    system_tool: Any = None
    cache_point: Any = None


class ChosenTool(_Shape):
    """The tool that the model must use."""

    name: ToolName


class ToolChoice(_Shape):
    """A union: auto, any, or one tool."""

    auto: Any = None
    any: Any = None
    tool: ChosenTool | None = None


class ToolConfig(_Shape):
    """The tools on offer."""

    tools: Annotated[list[Tool], Field(min_length=1, max_length=MAX_TOOLS)]
    tool_choice: ToolChoice | None = None


class InferenceConfig(_Shape):
    """How to answer; the temperature and top-p are checked and not used."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop_sequences: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=2500)] | None = None


class ConverseRequest(_Shape):
    """The body of Converse and of ConverseStream."""

    messages: Annotated[list[Message], Field(max_length=MAX_MESSAGES)]
    system: list[SystemBlock] = Field(default_factory=list)
    tool_config: ToolConfig | None = None
    inference_config: InferenceConfig = Field(default_factory=InferenceConfig)

    @property
    def tools(self) -> list[ToolSpec]:
        """The tools on offer."""
        offered = self.tool_config.tools if self.tool_config else []
        return [tool.tool_spec for tool in offered if tool.tool_spec is not None]


def parse_request(body: bytes) -> ConverseRequest:
    """The request in `body`, checked. Raises ServiceError."""
    try:
        request = ConverseRequest.model_validate_json(body)
    except ValidationError as error:
        raise _malformed(error) from error
    _check_tools(request)
    _check_messages(request)
    return request


def _malformed(error: ValidationError) -> ServiceError:
    details = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = "/".join(str(part)[:_MAX_DETAIL] for part in details["loc"])
    message = details["msg"][:_MAX_DETAIL]
    return invalid(f"Malformed input request: #/{place}: {message}, please reformat your input and try again.")


def _check_tools(request: ConverseRequest) -> None:
    names: set[str] = set()
    for index, tool in enumerate(request.tools):
        where = f"toolConfig.tools.{index}.toolSpec"
        if tool.name in names:
            raise invalid(f"The tool {tool.name} is already defined at {where}.name.")
        names.add(tool.name)
        if tool.input_schema.document.get("type") != "object":
            raise invalid(f"The value at {where}.inputSchema.json.type must be one of the following: object.")
    choice = request.tool_config.tool_choice if request.tool_config else None
    if choice and choice.tool and choice.tool.name not in names:
        raise invalid(f"The tool {choice.tool.name} of toolChoice is not defined in toolConfig.tools.")


def _check_messages(request: ConverseRequest) -> None:
    messages = request.messages
    if not messages or messages[0].role != "user":
        raise invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user"
            " message."
        )
    for before, after in itertools.pairwise(messages):
        if before.role == after.role:
            raise invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation"
                " alternates between user and assistant roles and try again."
            )
    if messages[-1].role != "user":
        raise invalid(
            "The model that you are using requires the last turn in the conversation to be a user message."
            " Add a user message to the conversation and try again."
        )
    for index, message in enumerate(messages):
        _check_content(message, f"messages.{index}")
        _check_results(messages[index - 1] if index else None, message, f"messages.{index}.content")
    used = any(message.tool_uses or message.tool_results for message in messages)
    if used and request.tool_config is None:
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")


_UNSUPPORTED = ("image", "document", "video", "searchResult")


def _check_content(message: Message, where: str) -> None:
    if not message.content:
        raise invalid(
            f"The content field in the Message object at {where} is empty. Add a ContentBlock object to the content"
            " field and try again."
        )
    for index, block in enumerate(message.content):
        place = f"{where}.content.{index}"
        members = block.members
        if len(members) != 1:
            raise invalid(f"The ContentBlock object at {place} must set one member, it sets {len(members)}.")
        (member,) = members
        if block.text is not None and not block.text.strip():
            raise invalid(
                f"The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try"
                " again."
            )
        if member in _UNSUPPORTED or (member == "audio" and message.role == "assistant"):
            raise invalid(
                f"This model doesn't support the {member} content block that you provided at {place}. Remove it and"
                " try again."
            )
        if (member, message.role) in (("toolUse", "user"), ("toolResult", "assistant")):
            raise invalid(f"The {message.role} role cannot have a {member} block, at {place}.")


def _check_results(before: Message | None, message: Message, where: str) -> None:
    """Every tool that was asked for has its result in the next message, and no other has one."""
    asked = [use.tool_use_id for use in before.tool_uses] if before else []
    given = [result.tool_use_id for result in message.tool_results]
    if len(set(asked)) < len(asked):
        raise invalid(f"The toolUse blocks before {where} do not have different Ids.")
    missing = [one for one in asked if one not in set(given)]
    if missing:
        raise invalid(f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing[:8])}")
    if len(given) > len(asked):
        raise invalid(
            f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn."
        )
