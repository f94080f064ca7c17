# The detection rule on scripted outputs, and the statistics' percentiles.
import random

from coproc.stats import Stats
from coproc.tasks.wake import Wake, Word


class Model:
    # Plays back outputs; remembers the rows that it was given.
    def __init__(self, outputs, stride):
        self.stride = stride
        self.input = bytearray(40 * stride)
        self.rows = []
        self._outputs = outputs

    def reset(self):
        self._at = 0

    def invoke(self):
        self.rows.append(bytes(self.input))

    def output(self):
        self._at += 1
        return self._outputs[self._at - 1]


def quantize(features, row, at, mode):
    for i in range(40):
        row[i] = features[0] & 255


def run(outputs, stride=3, threshold=1145, window=5, reset=74, hold=74, warmup=0):
    model = Model(outputs, stride)
    wake = Wake(quantize)
    wake.words.append(Word(model, "w", threshold, window, reset, hold, warmup))
    wake.reset()
    hits = []
    for frame in range(len(outputs) * stride):
        if wake.hop([frame]):
            word = wake.best()
            hits.append((frame, word.sum))
            word.woken()
    return hits, model


# ESPHome: the sum of the last five must exceed int(0.9 * 255) * 5 = 1145, strictly.
quiet = [0] * 30
assert run(quiet + [229] * 5 + [0] * 5)[0] == [], "1145 is not above 1145"
hits, model = run(quiet + [229] * 4 + [230] + [0] * 5)
assert hits == [(34 * 3 + 2, 1146)], hits
assert model.rows[0] == bytes([0] * 40 + [1] * 40 + [2] * 40), "rows go in oldest first"
# Not within 74 hops of a reset, however sure: hop 75 is the first.
assert run([255] * 40)[0][0] == (74, 1275)
# Nor within 74 hops of the last wake, which also cleared the window.
hits = run([255] * 60)[0]
assert [frame for frame, _ in hits] == [74, 149], hits
# pymicro: no hold after a reset, no verdict before `warmup` outputs.
assert run([255] * 8, reset=0, warmup=5)[0][0][0] == 4 * 3 + 2
assert run([255] * 8, reset=0, warmup=0)[0][0][0] == 4 * 3 + 2, "an empty window counts as zeros"
# Other strides.
assert run([255] * 200, stride=1)[0][0][0] == 74
assert run([255] * 200, stride=2)[0][0][0] == 75, "the first inference at or after hop 74"

# Two words at once: the one further above its own threshold wins, the first among equals.
loud, louder = Model([200] * 40, 1), Model([250] * 40, 1)
wake = Wake(quantize)
wake.words.append(Word(loud, "loud", 500, 5, 0, 74, 0))
wake.words.append(Word(louder, "louder", 500, 5, 0, 74, 0))
wake.words.append(Word(Model([250] * 40, 1), "same", 500, 5, 0, 74, 0))
wake.reset()
for frame in range(3):
    heard = wake.hop([frame])
assert heard == 3 and wake.best().name == "louder", (heard, wake.best().name)

try:
    Word(loud, "bad", 1, 0, 0, 0, 0)
    raise AssertionError("a window of 0 was accepted")
except ValueError:
    pass

# Percentiles are never below the truth and at most a sixteenth above it.
random.seed(3)
stats = Stats()
values = sorted([random.randint(0, 1 << random.randint(1, 15)) for _ in range(3000)])
for value in values:
    stats.hop(value)
for percent in (1, 50, 90, 99, 100):
    true = values[(len(values) * percent + 99) // 100 - 1]
    said = stats.percentile_us(percent)
    assert true <= said <= true * 17 // 16 + 1, (percent, true, said)
assert stats.max_us == values[-1] and stats.late == sum([1 for v in values if v > 10000])
print("ok")
