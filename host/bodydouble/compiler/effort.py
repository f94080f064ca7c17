"""What a record costs a board: the bytes it touches and the products it makes, counted as its loader counts them.

A board refuses a plan whose records add up to more than EFFORT_MAX (firmware/PLAN.md); so do we, before it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bodydouble.compiler.packing import ROWS

EFFORT_MAX = 1 << 28
_TABLE_ROW = 64  # checking a channel's row of a table
_CALL = 64  # calling a kernel in a loop
_LOOP = 0x90

Words = Sequence[int]


def _padded(channels: int, packing: int) -> int:
    return (channels + 7) & -8 if packing == ROWS else (channels + 3) & -4


def _conv(p: Words, packing: int) -> int:
    depth, channels = p[13], p[14]
    rows = channels if packing == ROWS or channels == 1 else _padded(channels, packing)
    return _TABLE_ROW * channels + p[3] * p[4] * depth * (rows + 1)


def _depthwise(p: Words, packing: int) -> int:
    return _TABLE_ROW * p[11] + p[3] * p[4] * p[7] * p[9] * _padded(p[11], packing)


def _conv16(p: Words, _packing: int) -> int:
    return _TABLE_ROW * p[11] + p[3] * p[4] * (p[23] + 8) * (p[11] + 1)


def _depthwise16(p: Words, _packing: int) -> int:
    return _TABLE_ROW * p[11] + p[3] * p[4] * (p[7] * p[9] + 8) * ((p[11] + 7) & -8)


def _pool(p: Words, channels: int) -> int:
    return p[3] * p[4] * (min(p[9], p[11]) * min(p[10], p[12]) + 1) * channels


def _svdf(p: Words, _packing: int) -> int:
    return p[4] * p[5] * (p[7] + p[6] + 16)


def _reduce(p: Words, _packing: int) -> int:
    return p[3] * p[4] * p[5] * p[9] * p[10] * p[11]


def _binary(cost: int) -> Callable[[Words, int], int]:
    return lambda p, _: cost * p[4] * p[5] * p[6] * p[7]


def _each(cost: int) -> Callable[[Words, int], int]:
    return lambda p, _: cost * p[3]


def _loop(p: Words, packing: int) -> int:
    at, inside, once = 3, 0, 0
    while at < len(p):
        words = p[at] >> 16
        once += effort(p[at : at + words], packing)
        at += words
        inside += 1
    return once + (p[1] - 1) * (once + _CALL * inside)


_EFFORTS: dict[int, Callable[[Words, int], int]] = {
    0x01: lambda p, _: p[3] * p[4] * p[5] * p[6],
    0x02: lambda p, _: sum(p[4::3]),
    0x03: lambda p, _: p[2],
    0x04: _each(1),
    0x05: _each(1),
    0x06: lambda p, _: p[4] * p[5] * p[6] * p[8],
    0x10: _conv,
    0x11: _depthwise,
    0x20: _conv16,
    0x21: _depthwise16,
    0x30: _each(1),
    0x31: _each(4),
    0x32: _each(4),
    0x33: _each(20),
    0x34: _each(20),
    0x40: _binary(2),
    0x41: _binary(2),
    0x42: _binary(4),
    0x43: _binary(2),
    0x50: lambda p, _: _pool(p, (p[15] + 7) & -8),
    0x51: lambda p, _: _pool(p, (p[15] + 7) & -8),
    0x52: lambda p, _: _pool(p, p[15]),
    0x60: lambda p, _: 2 * p[3] * p[4] + 64 * p[3] + 256,
    0x61: lambda p, _: 3 * p[3] * p[4] + 64 * p[3],
    0x70: _svdf,
    0x80: _reduce,
    0x81: _reduce,
    0x82: _reduce,
    0x83: lambda p, _: p[3] * (p[4] + 1) * p[5],
    _LOOP: _loop,
    0x91: lambda p, _: p[5],
    0x92: lambda p, _: _TABLE_ROW * p[4] + p[3] * (p[4] + 1),
    0x93: lambda p, _: 4 * p[4],
    0x94: lambda p, _: 4 * p[4],
}


def effort(record: Words, packing: int) -> int:
    """Steps of one record, its head included; of a loop, of all that it runs."""
    return _EFFORTS[record[0] & 0xFFFF](record, packing)
