# What the board measures of itself: time per hop, late hops, and how low the heap went.
import gc
from array import array

from micropython import const

_OCTAVES = const(16)  # 1 us to 65 ms
_STEPS = const(16)  # buckets per octave: a percentile is within 1/16 of the truth, from above
HOP_US = const(10000)


class Stats:
    def __init__(self):
        self._buckets = array("I", bytes(4 * _OCTAVES * _STEPS))
        self.heap_low = gc.mem_free()
        self.reset()

    def reset(self):
        buckets = self._buckets
        for i in range(len(buckets)):
            buckets[i] = 0
        self.hops = 0
        self.late = 0  # hops that took longer than the audio they stand for
        self.max_us = 0
        self.frontend_us = 0
        self.wake_us = 0
        self.endpoint_us = 0
        self.link_us = 0

    def hop(self, us):
        self.hops += 1
        if us > self.max_us:
            self.max_us = us
        if us > HOP_US:
            self.late += 1
        octave = 0
        value = us
        while value >= _STEPS * 2:
            value >>= 1
            octave += 1
        index = octave * _STEPS + value
        if index >= _OCTAVES * _STEPS:
            index = _OCTAVES * _STEPS - 1
        self._buckets[index] += 1

    def percentile_us(self, percent):
        # The upper edge of the bucket that holds the percentile, never above the largest seen.
        rank = (self.hops * percent + 99) // 100
        seen = 0
        buckets = self._buckets
        for index in range(len(buckets)):
            seen += buckets[index]
            if seen >= rank and buckets[index]:
                octave = max(0, index // _STEPS - 1)
                return min(self.max_us, ((index - octave * _STEPS + 1) << octave) - 1)
        return self.max_us

    def heap(self):
        # Free bytes after a collection; remembers the lowest. Walks the heap: never call it in a hop.
        gc.collect()
        free = gc.mem_free()
        if free < self.heap_low:
            self.heap_low = free
        return free

    def report(self):
        return {
            "hops": self.hops,
            "late": self.late,
            "p50_us": self.percentile_us(50),
            "p99_us": self.percentile_us(99),
            "max_us": self.max_us,
            "frontend_us": self.frontend_us,
            "wake_us": self.wake_us,
            "endpoint_us": self.endpoint_us,
            "link_us": self.link_us,
            "heap_low": self.heap_low,
        }
