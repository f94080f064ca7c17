# Hears wake words: any number of streaming models at once, each with its own stride, window and threshold.
#
# The rule is data: a model wakes when the sum of its last `window` outputs exceeds `threshold`, not before `warmup`
# outputs were seen, and not within `hold` hops of a reset or of its last wake, which also clears its window.
# ESPHome's rule: threshold int(cutoff * 255) * window, hold 74. The host computes both for each rule it knows.


class Word:
    # One wake word: a model, the features waiting for its next inference, and its verdicts.
    def __init__(self, model, name, threshold, window, hold_reset, hold_wake, warmup):
        if not 0 < window <= 64:
            raise ValueError("window must be 1 to 64")
        self.model = model
        self.name = name
        self.threshold = threshold
        self._hold_reset = hold_reset
        self._hold_wake = hold_wake
        self._warmup = warmup
        self.window = window
        self._outputs = bytearray(window)
        self.reset()

    def reset(self):
        self.model.reset()
        self._row = 0
        self._clear()
        self._hold = self._hold_reset
        self.heard = False
        self.digest = 0

    def _clear(self):
        outputs = self._outputs
        for i in range(len(outputs)):
            outputs[i] = 0
        self._next = 0
        self._seen = 0
        self.sum = 0

    def hop(self, row):
        # `row`: this hop's 40 int8 features. True when the word was heard; `sum` then holds the winning sum.
        model = self.model
        at = self._row * 40
        model.input[at : at + 40] = row
        self._row += 1
        held = self._hold
        if held:
            self._hold = held - 1
        if self._row < model.stride:
            return False
        self._row = 0
        model.invoke()
        return self._judge(model.output()) and not held

    def _judge(self, output):
        outputs = self._outputs
        at = self._next
        self.sum += output - outputs[at]
        outputs[at] = output
        at += 1
        self._next = 0 if at == len(outputs) else at
        # A running check value over every output, so that two boards can be compared without sending tensors.
        self.digest = (self.digest * 31 + output) & 0xFFFFFF
        if self._seen < self._warmup:
            self._seen += 1
            if self._seen < self._warmup:
                return False
        return self.sum > self.threshold

    def margin(self):
        # How far above its threshold the word is, in thousandths, so that words with different windows compare.
        return self.sum * 1000 // (self.threshold + 1)

    def woken(self):
        # Called once the wake has been taken note of.
        self._clear()
        self._hold = self._hold_wake


class Wake:
    # All the words that are listened for.
    def __init__(self, quantize):
        self.words = []
        self.mode = 0
        self._quantize = quantize
        self._row = bytearray(40)

    def reset(self):
        for word in self.words:
            word.reset()

    def hop(self, features):
        # Feeds one hop's features to every word; returns how many were heard (`heard` is then set on each).
        row = self._row
        self._quantize(features, row, 0, self.mode)
        count = 0
        for word in self.words:
            word.heard = word.hop(row)
            if word.heard:
                count += 1
        return count

    def best(self):
        # Of the words heard in this hop the one furthest above its threshold; the first loaded among equals.
        winner = None
        for word in self.words:
            if word.heard and (winner is None or word.margin() > winner.margin()):
                winner = word
        return winner
