# The rp2 port: a Raspberry Pi Pico whose USB serial port carries the link. Tracebacks come out of the same port: the
# link takes them for noise, the host keeps them as the board's log.
#
# MicroPython's sys.stdin blocks until all the bytes asked for have come, and poll() tells only that there is one. So
# the stream reads along with the frames: it follows their COBS blocks and lengths, and asks for no more bytes than
# the frame that has begun is sure to have. Where a frame stops half way (a host that died), it waits for the rest;
# any frame is over after MAX_ENCODED delimiters.
import os
import select
import sys
from array import array
from time import ticks_diff, ticks_us, time_ns  # noqa: F401  # this module is where the firmware gets its clock from

import machine
import micropython
from micropython import const

MACHINE = "rp2"
TIERS = ("asm", "viper", "bytecode")
TX_BYTES = 4096  # what the link keeps of what it has sent, until that is acknowledged

_CTRL_C = const(3)
_FIFO = const(256)  # TinyUSB's, towards the host: a write that fits waits for no more than one packet
_PIECE = const(1040)  # MAX_ENCODED: the most that is read at once

_ATTENTION = const(4)  # bytes of the shortest thing on the wire, delimiter included (link.py)
_SHORTEST = const(10)  # header and checksum
_LONGEST = const(1024)  # payload

# Slots of what is known of the frame that has begun
_LEFT = const(0)  # bytes of its COBS block still to come
_OUT = const(1)  # its bytes so far, without COBS
_OWED = const(2)  # 1: the block's end stands for a zero byte
_LENGTH = const(3)  # of its payload, as its header says
_TAKEN = const(4)  # its bytes so far on the wire

_RESETS = {machine.PWRON_RESET: "power", machine.WDT_RESET: "watchdog"}

# The watchdog's control register, as the chips' data sheets have it; writing to its alias clears bits.
_WATCHDOG = 0x400D8000 if "RP2350" in sys.implementation._machine else 0x40058000
_CLEAR = const(0x3000)
_ENABLE_BIT = const(30)

_led = machine.Pin("LED", machine.Pin.OUT)
_dog = None

ticks_ns = time_ns


def forced_tier():
    """None: what starts the firmware names the tier (main.start)."""
    return


def attached(host):
    """A host's session has begun, or none is left. While there is one Ctrl-C is a byte like any other."""
    micropython.kbd_intr(-1 if host else _CTRL_C)


def led(on):
    """Lights the LED: a request is open."""
    _led.value(on)


def configure(clock_hz, watchdog_ms):
    """Another clock; a watchdog that resets the board when feed() is not called for so long. 0 leaves as it is."""
    global _dog
    if clock_hz:
        machine.freq(clock_hz)
    if watchdog_ms:
        _dog = machine.WDT(timeout=watchdog_ms)


def feed():
    """The loop is alive."""
    if _dog:
        _dog.feed()


def facts():
    """What `info` tells of this machine."""
    storage = os.statvfs("/")
    return {
        "clock_hz": machine.freq(),
        "reset_cause": _RESETS.get(machine.reset_cause(), "other"),
        "unique_id": machine.unique_id().hex(),
        "storage_bytes": storage[1] * storage[2],
        "storage_free": storage[1] * storage[3],
    }


def release():
    """The loop has ended: Ctrl-C is back, the watchdog is off."""
    global _dog
    attached(False)
    led(0)
    if _dog:
        machine.mem32[_WATCHDOG + _CLEAR] = 1 << _ENABLE_BIT  # MicroPython has no call for that
        _dog = None


def exit(code):  # noqa: A001  # what every port calls it
    """Returns: the REPL is there."""


@micropython.viper
def _follow(i: int, at: int, buf: ptr8, piece: ptr8, state: ptr32, count: int) -> int:
    # Copies `count` bytes to buf[at:]; returns how many the frame in which they end has yet, at least.
    left = int(state[_LEFT])
    out = int(state[_OUT])
    owed = int(state[_OWED])
    length = int(state[_LENGTH])
    taken = int(state[_TAKEN])
    while i < count:
        b = int(piece[i])
        i += 1
        buf[at] = b
        at += 1
        if b == 0:
            left = out = owed = length = taken = 0
            continue
        taken += 1
        if left:
            left -= 1
            if out == 4:
                length = b
            elif out == 5:
                length |= b << 8
            out += 1
        else:
            out += owed
            owed = 0 if b == 255 else 1
            left = b - 1
    state[_LEFT] = left
    state[_OUT] = out
    state[_OWED] = owed
    state[_LENGTH] = length
    state[_TAKEN] = taken
    if taken == 0:
        return 0
    if taken < _ATTENTION:
        return _ATTENTION - taken
    # As many as its block has and one more; as many as its length says (a byte each), and the delimiter.
    due = left + 1
    whole = _SHORTEST
    if out > 5 and length <= _LONGEST:
        whole += length
    if whole - out >= due:
        due = whole - out + 1
    return due


class Stream:
    CHUNK = _PIECE

    def __init__(self, source=None, sink=None):
        source = source or sys.stdin.buffer
        sink = sink or sys.stdout.buffer
        self._read = source.readinto
        self._write = sink.write
        readable = select.poll()
        readable.register(source, select.POLLIN)
        self._readable = readable.ipoll
        writable = select.poll()
        writable.register(sink, select.POLLOUT)
        self._writable = writable.ipoll
        self._piece = bytearray(_PIECE)
        self._state = array("i", [0] * 5)
        self._due = 0  # bytes that the frame is sure to have yet

    def readinto(self, buf):
        """Reads up to the end of a frame and no further, at most len(buf) bytes; 0 where none has begun."""
        due = self._due
        state = self._state
        piece = self._piece
        room = len(buf)
        at = 0
        while room:
            if not due:
                if at > 1 and buf[at - 2]:
                    break  # what follows may be the REPL's
                for _ in self._readable(0):
                    due = 1
                if not due:
                    break
            part = due if due < room else room
            self._read(piece, part)
            due = _follow(0, at, buf, piece, state, part)
            at += part
            room -= part
        self._due = due
        return at

    def write(self, buf, start, n):
        """Writes up to n bytes of buf from start on; returns how many. A host that stops reading costs 1 s."""
        done = 0
        while done < n:
            ready = 0
            for _ in self._writable(0):
                ready = 1
            if not ready:
                return done
            part = n - done
            if part > _FIFO:
                part = _FIFO
            done += self._write(buf, start + done, part)
        return done

    def wait(self, ms):
        """Returns once there is something to read, or after ms milliseconds."""
        for _ in self._readable(ms):
            pass
