# Runs tests/data/link_vectors.json (named on the command line) through the kernels: every byte, whole and in pieces.
# ruff: noqa: C419, PTH123  # MicroPython's idiom; closures run before their loop goes on
import json
import sys
from array import array

from mp_link_kit import tiers


def unhex(text):
    return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])


with open(sys.argv[1]) as file:
    vectors = json.load(file)

checked = 0
for kernels in tiers():
    for vector in vectors["good"]:
        payload = unhex(vector["payload"])
        encoded = unhex(vector["encoded"])
        plain = bytearray(1036)
        out = bytearray(1048)
        kernels.pack(plain, vector["type"], vector["channel"], vector["seq"], b"xy" + payload, 2, len(payload))
        end = kernels.seal(plain, len(payload), out, 5)
        assert out[5:end] == encoded, (kernels.NAME, vector["name"], "written")
        for size in (len(encoded), 1, 7, 255):
            state = array("i", [0, 0, 0, 0, 0, 0xFFFF, 0xFFFF, 0])
            frame = bytearray(1036)
            results = []
            for at in range(0, len(encoded), size):
                raw = bytearray(encoded[at : at + size])
                state[0] = 0
                state[1] = len(raw)
                while state[0] < state[1]:
                    results.append(kernels.decode(state, raw, frame, 1034))
            assert results[-1] == len(payload), (kernels.NAME, vector["name"], size, results)
            assert all([r == -1 for r in results[:-1]])
            assert frame[: 6 + len(payload)] == plain[: 6 + len(payload)], (kernels.NAME, vector["name"])
            checked += 1
    for vector in vectors["bad"]:
        encoded = unhex(vector["encoded"])
        for size in (len(encoded), 1, 7):
            state = array("i", [0, 0, 0, 0, 0, 0xFFFF, 0xFFFF, 0])
            frame = bytearray(1036)
            results = []
            for at in range(0, len(encoded), size):
                raw = bytearray(encoded[at : at + size])
                state[0] = 0
                state[1] = len(raw)
                while state[0] < state[1]:
                    results.append(kernels.decode(state, raw, frame, 1034))
            wanted = -3 if vector["crc"] else -2
            assert results[-1] == wanted, (kernels.NAME, vector["name"], size, results)
            assert all([r == -1 for r in results[:-1]])
            checked += 1
    # A frame too long for its buffer, in pieces: dropped up to its delimiter, nothing written behind the limit.
    for size in (1, 7, 100, 1600):
        data = bytearray((b"\xff" + b"x" * 254) * 6 + b"\x03ab\0")
        state = array("i", [0, 0, 0, 0, 0, 0xFFFF, 0xFFFF, 0])
        frame = bytearray(1036)
        results = []
        for at in range(0, 6 * 255 + 4, size):
            raw = data[at : min(at + size, 6 * 255 + 4)]
            state[0] = 0
            state[1] = len(raw)
            while state[0] < state[1]:
                results.append(kernels.decode(state, raw, frame, 600))
        assert results[-1] == -2 and all([r == -1 for r in results[:-1]]), (kernels.NAME, size, results)
        assert frame[600:] == bytes(436), (kernels.NAME, size)
        checked += 1
    # Counting up to a limit across the wrap of 32 bits.
    counts = bytearray(unhex("00000000" + "f0ffffff"))
    limits = bytearray(unhex("ffffff7f" + "10000000"))
    assert kernels.charge(counts, limits, 1, 16) == 1
    assert kernels.charge(counts, limits, 1, 16) == 1
    assert kernels.charge(counts, limits, 1, 1) == 0
    assert counts == unhex("00000000" + "10000000"), counts
    assert kernels.charge(counts, limits, 0, 1024) == 1
    checked += 5
print("ok", len(tiers()), checked)
