# Says whether somebody speaks, by a streaming model of voice activity: an int8 plan as wake words have, that takes
# rows of 40 features by ESPHome's formula and whose output, 0 to 255, tells how likely there was speech just before.


class Voice:
    def __init__(self, model, quantize, begin, stay, deny, lag):
        # Speech begins with an output above `begin` and lasts while outputs exceed `stay`; below `deny` there is
        # certainly none. What is told at a frame is true of the frame `lag` frames before.
        if model.input_bytes != 40 * model.stride:
            raise ValueError("the voice model takes no rows of 40 features")
        if not (0 <= deny <= stay <= begin <= 255 and 0 < lag <= 20):
            raise ValueError("deny, stay and begin must rise from 0 to 255, lag must be 1 to 20")
        self._model = model
        self.lag = lag
        self._quantize = quantize
        self._begin = begin
        self._stay = stay
        self._deny = deny
        self.reset()

    def reset(self):
        self._model.reset()
        self._row = 0
        self.hot = False
        self.denies = False
        self.digest = 0

    def hop(self, features):
        # Takes a frame's features; `hot` and `denies` then are the model's word.
        model = self._model
        self._quantize(features, model.input, self._row * 40, 0)
        self._row += 1
        if self._row == model.stride:
            self._row = 0
            model.invoke()
            output = model.output()
            self.digest = (self.digest * 31 + output) & 0xFFFFFF
            self.hot = output > (self._stay if self.hot else self._begin)
            self.denies = output < self._deny
