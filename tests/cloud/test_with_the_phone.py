"""The cloud and the phone's agent, tools and home together: what either half promises the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bodydouble.clock import Timeline, monotonic
from bodydouble.cloud.server import CloudServer
from bodydouble.phone.agent import Agent, Turn
from bodydouble.phone.client import make_client
from bodydouble.phone.home import Home
from cloud.kit import Recogniser, tone


class Phone:
    """An agent and its home, with the recogniser that stands in the cloud."""

    def __init__(self, cloud: CloudServer, recogniser: Recogniser) -> None:
        self.home = Home()
        self.recogniser = recogniser
        self.agent = Agent(make_client(cloud.url), self.home, None, cloud.model_id, asr="cloud")

    def type(self, text: str) -> Turn:
        return self.agent.handle_text(text, Timeline(monotonic, 0.0))

    def say(self, text: str) -> Turn:
        self.recogniser.text = text
        self.timeline = Timeline(monotonic, 0.0)
        return self.agent.handle(tone(0.3), self.timeline)


@pytest.fixture
def phone(cloud: CloudServer, recogniser: Recogniser) -> Iterator[Phone]:
    one = Phone(cloud, recogniser)
    yield one
    one.home.close()


def test_every_tool_is_reached_and_answered(phone: Phone) -> None:
    """Each of the phone's own tools by a sentence; none of them finds anything wrong with its arguments."""
    sentences = {
        "turn on the kitchen light": "set_power",
        "turn off all the lights in the kitchen": "set_power",
        "set the desk lamp to forty percent": "set_brightness",
        "set the thermostat to twenty one degrees": "set_temperature",
        "what is the temperature": "get_state",
        "lock the front door": "lock",
        "unlock the back door": "unlock",
        "add two bottles of milk to the shopping list": "shopping_list_add",
        "what is on my shopping list": "shopping_list_show",
        "remove bottles of milk from the list": "shopping_list_remove",
        "set a pasta timer for ten minutes": "timer_set",
        "how much time is left": "timer_query",
        "cancel the pasta timer": "timer_cancel",
        "what is the weather tomorrow": "weather",
        "what time is it": "time",
    }
    for sentence, tool in sentences.items():
        turn = phone.type(sentence)
        assert [action["tool"] for action in turn.actions] == [tool], sentence
        assert turn.actions[0]["result"]["status"] in ("ok", "confirmation_required"), turn.actions
        assert not turn.reply.startswith("Sorry"), turn.reply
    offered = {tool["toolSpec"]["name"] for tool in phone.agent.tools.specs()["tools"]}
    assert offered == set(sentences.values())


def test_a_door_opens_after_a_yes_alone(phone: Phone) -> None:
    asked = phone.say("unlock the front door")
    assert asked.transcript == "unlock the front door"
    assert asked.reply == "Do you want me to unlock the front door? Say yes to confirm."
    assert phone.home.device("front door").locked
    assert phone.say("no").reply == "Okay, the front door stays locked."
    assert phone.home.device("front door").locked
    phone.say("unlock the front door")
    opened = phone.say("yes please")
    assert opened.reply == "The front door is unlocked."
    assert not phone.home.device("front door").locked


def test_a_failure_is_told(phone: Phone) -> None:
    assert phone.type("remove bananas from the list").reply.startswith("Sorry, that did not work: ")


def test_times_reach_the_timeline(phone: Phone) -> None:
    """Two calls: the simulated spans are theirs, the rest is the host's, and nothing was waited for."""
    turn = phone.say("turn on the kitchen light")
    assert turn.usage.calls == 2
    spans, clocks = phone.timeline.spans, phone.timeline.clocks
    assert {"cloud_queue", "cloud_prefill", "cloud_decode"} <= {
        name for name, clock in clocks.items() if clock == "simulated"
    }
    assert spans["cloud_prefill"] > 0.1 and spans["cloud_decode"] > 0.1
    assert phone.timeline.simulated == pytest.approx(spans["cloud_prefill"] + spans["cloud_decode"])
