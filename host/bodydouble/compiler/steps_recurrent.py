"""Steps of family 7: operations that keep a state of their own from one inference to the next."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bodydouble.compiler.quantise import Multiplier
from bodydouble.compiler.steps import Step
from bodydouble.compiler.views import Storage, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bodydouble.compiler.pack import Packer

STATE_ITEM = 2


@dataclass(frozen=True)
class Svdf(Step):
    """Each filter's product with the input joins those that it remembers; these are weighted by time and added up.

    `source` [batch, inputs] and `target` [batch, units] bytes; `state` [batch, filters, memory] int16, the newest
    product last; `feature` [filters, inputs] int8 and `time` [filters, memory] int16; a unit is `rank` filters.
    `feature_biases` undo that bytes are held plus 128 and have a zero point. Products saturate at `limit`.
    """

    target: View
    source: View
    state: Storage
    rank: int
    feature: NDArray[np.int8]
    feature_biases: tuple[int, ...]
    feature_multiplier: Multiplier
    limit: int
    time: NDArray[np.int16]
    biases: tuple[int, ...]
    multiplier: Multiplier
    zero: int
    kind = "svdf"
    code = 0x70

    def storages(self) -> Iterator[Storage]:
        yield self.target.storage
        yield self.source.storage
        yield self.state

    @property
    def count(self) -> int:
        return self.source.shape[0]

    @property
    def weight_bytes(self) -> int:
        return int(self.feature.size + self.time.size * STATE_ITEM)

    @property
    def macs(self) -> int:
        return self.source.shape[0] * int(self.feature.size + self.time.size)

    def records(self, packer: Packer) -> list[list[int]]:
        batches, inputs = self.source.shape
        filters, memory = self.time.shape
        units = filters // self.rank
        feature = packer.put((self.feature.view("u1") ^ 0x80).tobytes())
        feature_biases, biases = (
            packer.put(struct.pack(f"<{len(values)}i", *values)) for values in (self.feature_biases, self.biases)
        )
        time = packer.put(self.time.astype("<i2").tobytes())
        return [
            [
                self.source.address + batch * inputs, self.target.address + batch * units,
                self.state.offset + batch * filters * memory * STATE_ITEM, units, self.rank, memory, inputs,
                feature, feature_biases, self.feature_multiplier.multiplier, self.feature_multiplier.shift_byte,
                self.limit, time, biases, self.multiplier.multiplier, self.multiplier.shift_byte, self.zero,
            ]
            for batch in range(batches)
        ]  # fmt: skip
