"""TRANSPOSE_CONV as ordinary convolutions: one per phase of its strides, nothing is stretched with zeros.

Row y of the output gets kernel row k from input row (y + pad - k) / stride where that is whole: those y that leave
the same remainder share every stride-th kernel row, and are a convolution with these, upside down. Columns likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

from bodydouble.compiler.lower import Lowering, Rule
from bodydouble.compiler.model import Operator
from bodydouble.compiler.ops_conv import SAME, VALID, Axis, batches, image, make_window, pad
from bodydouble.compiler.products import read_products, read_weights

PHASES_MAX = 256


@dataclass(frozen=True)
class Phase:
    """Output rows (or columns) `first`, `first + stride`, ...: the kernel's taps in order, where windows start."""

    first: int
    count: int
    taps: tuple[int, ...]
    start: int

    @property
    def reach(self) -> int:
        """How many rows of the input its windows cover."""
        return self.count - 1 + len(self.taps)


def find_phases(out: int, kernel: int, stride: int, padding: int) -> list[Phase]:
    """Along one dimension; `start` may be negative. A stride above the kernel has phases of one tap behind it."""
    total = max((-(-out // stride) - 1) * stride + kernel - out, 0) if padding == SAME else 0
    before = total // 2
    phases = []
    for remainder in range(stride):
        first = (remainder - before) % stride
        if first < out:
            taps = tuple(range(remainder, max(kernel, stride), stride))[::-1]
            start = (first + before - remainder) // stride - len(taps) + 1
            phases.append(Phase(first, -(-(out - first) // stride), taps, start))
    return phases


def transpose_conv(ctx: Lowering, op: Operator) -> None:
    """Inputs: the output's shape, weights, activations, biases."""
    import numpy as np  # noqa: PLC0415

    source, out = ctx.tensor(op, 2), ctx.output(op)
    weights = read_weights(ctx, op, source)
    if weights.ndim != 4 or len(out.shape) != 4 or weights.shape[0] != out.shape[3]:
        ctx.refuse(op, f"has weights of shape {list(weights.shape)} for an output of shape {list(out.shape)}")
    if source.shape[3:] != weights.shape[3:]:
        ctx.refuse(op, f"has weights for {weights.shape[3]} channels, its input is {list(source.shape)}")
    if ctx.tensor(op, 0).data is not None and tuple(ctx.integers(op, 0)) != out.shape:
        ctx.refuse(op, f"names the shape {ctx.integers(op, 0)}, its output says {list(out.shape)}")
    padding, strides = op.options["Padding"], (op.options["StrideH"], op.options["StrideW"])
    if padding not in (SAME, VALID) or min(strides) < 1 or strides[0] * strides[1] > PHASES_MAX:
        ctx.refuse(op, f"has strides {list(strides)} and the padding {padding}")
    channels, height, width, depth = weights.shape
    if padding == VALID and (out.shape[1] + strides[0] < height or out.shape[2] + strides[1] < width):
        ctx.refuse(op, f"has weights larger than its output of {list(out.shape)}")
    products = read_products(ctx, op, source, channels, bias=3, bias_types=("INT16",))
    view = image(ctx, op, 2, out)
    grid, pads = [], []
    for i, taps in ((1, height), (2, width)):
        phases = find_phases(out.shape[i], taps, strides[i - 1], padding)
        grid.append(phases)
        ends = max(phase.start + phase.reach for phase in phases)
        pads.append((max(0, *(-phase.start for phase in phases)), max(0, ends - view.shape[i])))
    view = pad(ctx, op, source, view, tuple(pads))
    target = ctx.place(out)
    nothing = np.zeros((channels, 1), np.int8)
    for y in grid[0]:
        for x in grid[1]:
            part = view.cut(1, y.start + pads[0][0], y.reach).cut(2, x.start + pads[1][0], x.reach)
            outs = target.cut(1, y.first, y.count, strides[0]).cut(2, x.first, x.count, strides[1])
            if y.taps[0] >= height or x.taps[0] >= width:  # the biases alone
                window = make_window(part, Axis(y.count, 0, 1), Axis(x.count, 0, 1))
                products.conv(batches(part, outs), window, 1, nothing, slice(channels))
                continue
            window = make_window(part, Axis(y.count, 1, len(y.taps)), Axis(x.count, 1, len(x.taps)))
            mine = weights[:, y.taps][:, :, x.taps].reshape(channels, -1)
            products.conv(batches(part, outs), window, depth, mine, slice(channels))
    ctx.define(out, target)


RULES = {"TRANSPOSE_CONV": Rule(transpose_conv, (3, 4), places=True)}
