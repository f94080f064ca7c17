# A model under test: any plan, run on inputs that the host sends; its outputs, and tensors between, go back.
#
# Nothing that was heard is involved: it runs only while no stream does, and what it sends passes the egress gate.
# The loop calls `step`, which never blocks: an inference waits where the link has no room for what it must send.
import struct
from array import array
from time import ticks_diff

import uctypes

from coproc import wire
from coproc.audio.ring import HOP

TAP_BYTES = 12  # u32 each: after how many records, offset in the arena, bytes

IDLE, TAPS, INPUTS, RUNNING, TIMING, SAMPLES, HEARD = range(7)


class ModelTask:
    def __init__(self, app):
        self._app = app
        self._ticks = app.port.ticks_us
        self.model = None
        self.reset()

    def reset(self):
        # A run that was under way is forgotten; the model stays.
        self.state = IDLE
        self._request = None
        self._taps = bytearray()
        self._filling = []  # places that the file channel fills, in order
        self._sending = None  # what is on its way out, and how much of it has gone
        self._sent = 0
        self._report = None

    def take(self, model):
        # The model that the next requests are about; None gives the memory back.
        self.reset()
        self.model = model

    # --- requests

    def run(self, request, count, taps, fresh):
        # `count` inferences. The file channel brings `taps` tensors to send back from each, then the inputs.
        self.reset()
        if fresh:
            self.model.reset()
        self._request = request
        self._left = count
        self._us = self._longest = 0
        self._shortest = 1 << 29
        self._taps = bytearray(TAP_BYTES * taps)
        if taps:
            self._expect(TAPS, [memoryview(self._taps)])
        else:
            self._next()

    def time(self, request, rounds, repeat):
        # The best of `rounds` rounds of `repeat` calls, in microseconds: of a whole inference, then of each record.
        self.reset()
        self.state = TIMING
        self._request = request
        self._rounds = rounds
        self._repeat = repeat
        self._item = self._round = self._best = 0
        self._words = bytearray(4 * (self.model.op_count + 1))

    def profile(self, request):
        # One inference: when it began and when each record ended, in nanoseconds from the start.
        self.reset()
        model = self.model
        clock = self._app.port.ticks_ns
        ends = bytearray(4 * (model.op_count + 1))
        start = clock()
        struct.pack_into("<I", ends, 0, clock() - start)
        for i in range(model.op_count):
            model.run_op(i)
            struct.pack_into("<I", ends, 4 * i + 4, clock() - start)
        self._request = request
        self._finish(ends, {})

    def features(self, request, blocks, mode):
        # The front end on `blocks` blocks of 160 samples off the file channel: 40 int8 features from each but two.
        self.reset()
        app = self._app
        app.restart()
        self._request = request
        self._left = blocks
        self._mode = mode
        self._block = array("h", bytes(2 * HOP))
        self._bytes = uctypes.bytearray_at(uctypes.addressof(self._block), 2 * HOP)
        self._row = bytearray(40)
        self._next_block()

    # --- what comes in

    def file(self, buf, start, length):
        data = memoryview(buf)
        while length and self._filling:
            view = self._filling[0]
            size = min(length, len(view) - self._filled)
            view[self._filled : self._filled + size] = data[start : start + size]
            start += size
            length -= size
            self._filled += size
            if self._filled == len(view):
                self._filling = self._filling[1:]
                self._filled = 0
        if not self._filling:
            if self.state == TAPS:
                self._next()
            elif self.state == INPUTS:
                self.state = RUNNING
                self._record = self._tap = self._out = self._spent = 0
            elif self.state == SAMPLES:
                self._hear()

    def _next_block(self):
        if self._left:
            self._left -= 1
            self._expect(SAMPLES, [memoryview(self._bytes)])
        else:
            self._app.restart()
            self._finish(b"", {})

    def _hear(self):
        app = self._app
        if app.frontend.hop(self._block, 0):
            app.tier.frontend.quantize(app.frontend.features, self._row, 0, self._mode)
            self.state = HEARD
            self._send(self._row)
        else:
            self._next_block()

    def _expect(self, state, views):
        self.state = state
        self._filling = views
        self._filled = 0
        link = self._app.link
        size = sum([len(view) for view in views])
        link.grant(wire.FILE, link.received_bytes(wire.FILE) + size, True)

    def _next(self):
        # The next inference waits for its inputs; after the last one the request is answered.
        if self._left:
            self._left -= 1
            self._expect(INPUTS, list(self.model.input_views))
        else:
            self._finish(b"", {"us": self._us, "us_min": self._shortest, "us_max": self._longest})

    # --- the work

    def step(self):
        # True when something was done; False: waiting for inputs, or for room on the link.
        if self._sending is not None:
            return self._flush()
        if self.state == TIMING:
            self._measure()
        elif self.state == RUNNING:
            self._advance()
        elif self.state == HEARD:
            self._next_block()
        else:
            return False
        return True

    def _advance(self):
        # To the next tensor that is wanted, or to the end.
        model = self.model
        stop = model.op_count
        tapped = TAP_BYTES * self._tap < len(self._taps)
        if tapped:
            after, at, size = struct.unpack_from("<3I", self._taps, TAP_BYTES * self._tap)
            stop = min(after, stop)
        started = self._ticks()
        while self._record < stop:
            model.run_op(self._record)
            self._record += 1
        self._spent += ticks_diff(self._ticks(), started)
        if tapped:
            self._tap += 1
            self._send(memoryview(model.arena)[at : at + size])
        elif self._out < len(model.outputs):
            tensor = model.outputs[self._out]
            self._out += 1
            self._send(memoryview(model.arena)[tensor.offset : tensor.offset + tensor.bytes])
        else:
            spent = self._spent
            self._us += spent
            self._shortest = min(self._shortest, spent)
            self._longest = max(self._longest, spent)
            self._next()

    def _measure(self):
        model = self.model
        item = self._item
        started = self._ticks()
        if item:
            for _ in range(self._repeat):
                model.run_op(item - 1)
        else:
            for _ in range(self._repeat):
                model.invoke()
        spent = ticks_diff(self._ticks(), started)
        self._best = min(self._best, spent) if self._round else spent
        self._round += 1
        if self._round == self._rounds:
            struct.pack_into("<I", self._words, 4 * item, self._best)
            self._round = 0
            self._item += 1
            if self._item > model.op_count:
                model.reset()
                self._finish(self._words, {})

    # --- what goes out

    def _send(self, data):
        self._sending = data
        self._sent = 0

    def _flush(self):
        # Sends what there is room for; behind the last bytes of a request goes its answer. False: no room.
        gate = self._app.gate
        data = self._sending
        while self._sent < len(data):
            size = gate.tensor(data, self._sent, len(data) - self._sent)
            if not size:
                return False
            self._sent += size
        self._sending = None
        if self._report is not None:
            report = self._report
            report["id"] = self._request
            report["ok"] = True
            self.reset()
            self._app.tell(wire.CONTROL, report)
        return True

    def _finish(self, data, report):
        self.state = IDLE
        self._report = report
        self._send(data)
