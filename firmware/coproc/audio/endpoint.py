# Finds where a request begins and ends, on the front end's features alone.
#
# The rule: what decides is the loudest patch of the last 9 frames by 3 channels (the kernel's level()): formants and
# harmonics fill such a patch, noise does not, and the front end has already normalised stationary noise, whatever
# its level and spectrum. A frame is hot when its level exceeds the threshold: `threshold`, or 1.7 times the ambience
# where that is more, as among other voices. The ambience is the tercile of the level outside requests, as it was
# 1.28 s ago, before the wake word could raise it.
#
# In steady noise nothing beats the rule; music, voices and blows it takes for speech. A model of voice activity
# (voice.py), where one is loaded, notices that outside requests: once the rule has been hot against its word for
# _DOUBTED frames within the last minutes, the model says what is hot.
#
# Times are frame indices: frame k's window covers 0.01 k to 0.01 k + 0.03 seconds of audio.
from array import array

from micropython import const

NONE = const(0)
ONSET = const(1)  # speech has begun, at `onset`
END = const(2)  # the utterance ended, at `last_speech`
NOTHING = const(3)  # nobody spoke
LONGEST = const(4)  # cut: still speaking after the longest utterance

# Milliseconds, but for the threshold: name, default, least, most.
CONFIG = (
    ("silence_ms", 740, 510, 750),  # trailing silence that ends an utterance; the board's memory of audio bounds it
    ("minimum_ms", 80, 10, 200),  # speech that makes an onset
    ("longest_ms", 15000, 1000, 60000),  # an utterance is cut here
    ("nothing_ms", 4000, 2010, 60000),  # silence after the wake that means nobody spoke
    ("tail_ms", 220, 0, 1000),  # speech that goes on no longer than this after the wake is still the wake word
    ("look_back_ms", 420, 100, 420),  # how far an onset may lie back: the loop keeps this, the pre-roll and 30 ms
    ("threshold", 170, 50, 600),  # mean feature of a patch above which it is speech
)

_HOP_MS = const(10)
_FRAMES = const(9)
_CELLS = const(27)
_CHANNELS = const(40)
_SETTLE = const(100)  # frames that the front end needs to settle on the noise
_AMBIENCE = const(2430)  # 90 a cell, that of white noise: what is assumed before anything was learned
_RISE = const(27)  # the tercile's steps per frame: up one unit a cell, or down two
_FALL = const(54)
_CEILING = const(9450)  # 350 a cell: other voices may not lift the threshold above a speaker's own vowels
_JOIN = const(6)  # frames that are not hot and do not end a run of hot ones
_LEAD = const(6)  # frames of speech that a patch needs to become hot
_NEAR = const(45)  # speech found this soon after the wake may have begun at the wake
_PAST = const(16)  # ambience of the past, one value in 8 frames
_DOUBTED = const(16)
_DOUBT_MOST = const(200)
_FORGIVEN = const(63)  # a doubted frame is forgotten in 64 frames: blows are remembered for 2 minutes


class Endpointer:
    def __init__(self, kernels, config, voice=None):
        # `config` overrides CONFIG's defaults by name; ValueError for what is unknown or out of range.
        # `voice`: a model that steps in for the rule, or None.
        for name in config:
            if name not in [row[0] for row in CONFIG]:
                raise ValueError("endpointing has no option %s" % name)
        values = {}
        for name, default, least, most in CONFIG:
            value = config.get(name, default)
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError("%s must be %d to %d, not %s" % (name, least, most, value))
            values[name] = value
        self._silence = values["silence_ms"] // _HOP_MS
        self._minimum = values["minimum_ms"] // _HOP_MS
        self._longest = values["longest_ms"] // _HOP_MS
        self._nothing = values["nothing_ms"] // _HOP_MS
        self._tail = values["tail_ms"] // _HOP_MS
        self._look_back = values["look_back_ms"] // _HOP_MS
        self._floor = values["threshold"] * _CELLS
        self.voice = voice
        self._patch = kernels.level
        self._rows = array("H", bytes(2 * _FRAMES * _CHANNELS))
        self._sums = array("H", bytes(2 * _CHANNELS))
        self._past = array("H", bytes(2 * _PAST))
        self.reset()

    def reset(self):
        if self.voice:
            self.voice.reset()
        for i in range(len(self._rows)):
            self._rows[i] = 0
        for i in range(_CHANNELS):
            self._sums[i] = 0
        self._at = 0
        self._settled = 0
        self._learn(_AMBIENCE)
        self._run = 0  # hot frames in a row, small gaps bridged
        self._begun = 0  # where that run began
        self._doubt = 0
        self._lag = 0  # frames that what is told lies back: the model's, where it decides
        self._cold = _JOIN + 1  # frames since the last hot one
        self.level = 0  # of the last frame, 27 times a feature's unit, as is the threshold
        self.armed = False
        self.speaking = False
        self._carried = False
        self._arm = 0
        self.onset = 0
        self.last_speech = 0

    def _learn(self, ambience):
        self._ambience = ambience
        for i in range(_PAST):
            self._past[i] = ambience
        self._adapt(ambience)

    def _adapt(self, ambience):
        self._used = ambience
        self.threshold = max(self._floor, min(_CEILING, ambience * 17 // 10))

    def arm(self, hop):
        # A request was opened by what was heard up to frame `hop`.
        self.armed = True
        self.speaking = False
        self._arm = hop
        self._carried = self._cold <= _JOIN  # the wake word may still be fading, or the speaker may go on at once
        self.onset = hop
        self.last_speech = hop

    def disarm(self):
        # The request is over: learning goes on from the ambience before it.
        self.armed = False
        self.speaking = False
        self._learn(self._used)

    def hop(self, features, hop):
        # Takes every frame, armed or not; returns one of the codes above.
        at = self._at
        level = self._patch(features, self._rows, at, self._sums)
        at += _CHANNELS
        self._at = 0 if at == _FRAMES * _CHANNELS else at
        self.level = level
        hot = level > self.threshold
        voice = self.voice
        if voice:
            voice.hop(features)
            if not self.armed:
                self._compare(hot, voice, hop)
            if self._lag:
                hot = voice.hot
        if hot:
            if self._cold > _JOIN:
                self._run = 0
                self._begun = hop - self._lag
            self._run += 1
            self._cold = 0
        else:
            self._cold += 1
        if not self.armed:
            self._listen(level, hop)
            return NONE
        if self.speaking:
            return self._follow(hot, hop)
        return self._await(hot, hop)

    def _compare(self, hot, voice, hop):
        # Whether the rule deserves belief in what is heard here.
        if hot:
            if voice.denies and self._settled == _SETTLE and self._doubt < _DOUBT_MOST:
                self._doubt += 1
        elif hop & _FORGIVEN == 0 and self._doubt:
            self._doubt -= 1
        self._lag = voice.lag if self._doubt > _DOUBTED else 0

    def _listen(self, level, hop):
        if self._settled < _SETTLE:
            self._settled += 1
            return
        if level > self._ambience:
            self._ambience += _RISE
        elif self._ambience > _FALL:
            self._ambience -= _FALL
        if hop & 7 == 0:
            slot = (hop >> 3) & (_PAST - 1)
            self._adapt(self._past[slot])
            self._past[slot] = self._ambience

    def _await(self, hot, hop):
        if hot:
            if self._carried:
                if hop - self._lag - self._arm >= self._tail:
                    return self._begin(self._arm, hop)
            elif self._run >= self._minimum:
                near = self._begun - self._arm < _NEAR
                return self._begin(self._arm if near else self._begun - (0 if self._lag else _LEAD), hop)
        elif self._cold > _JOIN:
            self._carried = False
            if hop - self._arm >= self._nothing:
                return NOTHING
        return NONE

    def _begin(self, onset, hop):
        self.speaking = True
        self.onset = max(onset, hop - self._look_back)
        self.last_speech = max(hop - self._lag, self.onset)
        return ONSET

    def _follow(self, hot, hop):
        if hot:
            self.last_speech = hop - self._lag
        elif hop - self._lag - self.last_speech >= self._silence:
            return END
        if hop - self.onset >= self._longest:
            return LONGEST
        return NONE
