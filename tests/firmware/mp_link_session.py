# Sessions of the board's end, step by step, on every tier that runs here.
# ruff: noqa: B023, RUF015  # MicroPython's idiom; closures run before their loop goes on
from mp_link_kit import MemoryStream, frame, hello, tiers

from coproc import link_sender, wire
from coproc.link import Link

link_sender.ticks_us = lambda: 0  # no time-out sends anything again, however slow this runs


def json(payload):
    import json

    return json.loads(payload)


for kernels in tiers():
    got = []
    sessions = []
    stream = MemoryStream(65536)

    def on_frame(channel, buf, start, length):
        got.append((channel, bytes(memoryview(buf)[start : start + length])))

    link = Link(stream, on_frame, kernels, ((wire.AUDIO, 2000), (wire.FILE, 0)), sessions.append, first=65534)

    def say(data):
        stream.feed(data)
        while stream.at < len(stream.data):
            link.poll(0)
        link.poll(1)

    # Before a hello: nothing is delivered or taken, and a host of an older session is told.
    say(frame(kernels, wire.DATA, wire.CONTROL, 0, b"early"))
    assert not got and not link.connected
    assert stream.take() == [(wire.CLOSE, 0, 0, b"no session")]
    assert not link.send(wire.EVENT, b"x", 0, 1) and link.room(wire.EVENT) == 0

    # A host of another version is told ours; nothing opens.
    say(hello(kernels, version=7))
    answer = stream.take()
    assert len(answer) == 1 and json(answer[0][3])["version"] == wire.VERSION and not link.connected

    # A session opens; its numbers start where each side said.
    say(hello(kernels, "one", 65535, max_payload=100))
    answer = json(stream.take()[0][3])
    assert link.connected and sessions == [False] and answer["session"] == "one" and answer["next"] == 65534
    assert answer["credits"] == [[wire.AUDIO, 2000], [wire.FILE, 0]] and not answer["resumed"]

    # Across the wrap, once each and in order: repeated, missing, unknown channels and types.
    for seq, text in ((65534, b"a"), (65534, b"a"), (65535, b"b"), (1, b"d"), (0, b"c"), (1, b"d"), (0, b"c")):
        say(frame(kernels, wire.DATA, wire.CONTROL, seq, text))
    say(frame(kernels, wire.DATA, 77, 2, b"?") + frame(kernels, 99, 0, 3, b"??"))
    assert got == [(0, b"a"), (0, b"b"), (0, b"c"), (0, b"d")], got
    assert link.unknown_frames == 2 and link.duplicates == 2 and link.gaps == 1
    acks = [entry[3] for entry in stream.take() if entry[0] == wire.ACK]
    gap = [ack for ack in acks if ack[2]]
    assert gap == [b"\0\0\1\1\0\0\0\0" + b"\2" + (2000).to_bytes(4, "little")] or gap == [b"\0\0\1\0\0\0\0\0"], gap
    assert acks[-1][:2] == b"\3\0", acks

    # Sending: what is larger than the host takes is a mistake; what is sent is kept until acknowledged.
    try:
        link.send(wire.EVENT, bytes(101), 0, 101)
        raise SystemExit("took a frame that the host cannot")
    except ValueError:
        pass
    assert link.room(wire.EVENT) == 100
    for text in (b"first", b"second", b"third"):
        assert link.send(wire.EVENT, b"__" + text, 2, len(text))
    assert stream.take() == [
        (wire.DATA, wire.EVENT, 65535, b"first"),
        (wire.DATA, wire.EVENT, 0, b"second"),
        (wire.DATA, wire.EVENT, 1, b"third"),
    ]
    assert link.pending == 3
    # The host has the first, and something went missing: the rest is written again, once.
    say(frame(kernels, wire.ACK, 0, 0, b"\0\0\1\0\0\0\0\0"))
    assert [entry[2] for entry in stream.take()] == [0, 1] and link.pending == 2
    # Numbers from outside the window change nothing.
    for nonsense in (b"\xff\xff\0\0", b"\3\0\0\0", b"\0\x80\0\0", b"\0"):
        say(frame(kernels, wire.ACK, 0, 0, nonsense))
    rest = stream.take()
    assert link.pending == 2 and rest == [], (link.pending, rest)

    # The same session again, on a new cable: what the host lacks comes again, and nothing starts anew.
    say(b"\x11half a frame" + b"\0" + hello(kernels, "one", 1))
    answer = stream.take()
    assert sessions == [False, True] and json(answer[0][3])["resumed"] and json(answer[0][3])["next"] == 3
    assert [entry for entry in answer if entry[0] == wire.DATA] == [(wire.DATA, wire.EVENT, 1, b"third")], answer

    # Credit: up to the limit and not beyond.
    say(frame(kernels, wire.DATA, wire.AUDIO, 3, bytes(1000)) + frame(kernels, wire.DATA, wire.AUDIO, 4, bytes(1000)))
    assert link.received_bytes(wire.AUDIO) == 2000 and link.connected
    link.grant(wire.AUDIO, 2001)
    link.grant(wire.FILE, 4096)
    stream.take()
    link.poll(5)
    (ack,) = stream.take()
    assert ack[3] == b"\5\0\0\2" + b"\2" + (2001).to_bytes(4, "little") + b"\3" + (4096).to_bytes(4, "little"), ack
    say(frame(kernels, wire.DATA, wire.AUDIO, 5, b"1"))
    assert link.connected
    say(frame(kernels, wire.DATA, wire.AUDIO, 6, b"1"))
    assert not link.connected and link.closed == "more bytes than granted on channel 2"
    assert stream.take()[-1] == (wire.CLOSE, 0, 0, b"more bytes than granted on channel 2")

    # Another session: everything anew.
    say(hello(kernels, "two", 7))
    assert link.connected and sessions == [False, True, False] and link.received_bytes(wire.AUDIO) == 0
    assert link.pending == 0
    assert link.send(wire.EVENT, b"new", 0, 3)
    assert stream.take()[-1] == (wire.DATA, wire.EVENT, 7, b"new")

    # A ping is answered with what it held, and two ticks of now.
    say(frame(kernels, wire.PING, 0, 0, b"\1\2\3\4\5\6\7\xff"))
    pong = [entry[3] for entry in stream.take() if entry[0] == wire.PONG][0]
    received = int.from_bytes(pong[8:16], "little")
    assert pong[:8] == b"\1\2\3\4\5\6\7\xff" and received <= int.from_bytes(pong[16:], "little") < received + 100000

    # A host that reads nothing: the board takes what it has room for, keeps some for events, and loses nothing.
    stream.room = 10
    sent = 0
    while link.send(wire.UTTERANCE, bytes([sent]) * 1000, 0, 1000):
        sent += 1
    assert 3 <= sent <= 8 and link.room(wire.UTTERANCE) == 0 and link.room(wire.EVENT) == 1024
    assert link.send(wire.EVENT, b"overtakes nothing but fits", 0, 26)
    stream.room = 1 << 29
    link.poll(0)
    frames = [entry for entry in stream.take() if entry[0] == wire.DATA]
    assert [entry[2] for entry in frames] == list(range(8, 8 + sent + 1)), frames
    assert [entry[3][0] for entry in frames[:-1]] == list(range(sent))

    # Goodbye.
    say(frame(kernels, wire.CLOSE, 0, 0, b"done"))
    assert not link.connected and link.closed == "done"
    say(frame(kernels, wire.CLOSE, 0, 0, b"\xff\xfe"))
    for broken in (
        b"",
        b"{}",
        b"[1]",
        b'"x"',
        b"nil",
        b"[" * 900,
        b'{"version":1,"session":5,"max_payload":64,"next":0}',
    ):
        before = link.bad_frames
        say(frame(kernels, wire.HELLO, 0, 0, broken))
        assert link.bad_frames == before + 1 and not link.connected, broken
print("ok", len(tiers()))
