# The co-processor's loop: hop by hop through the audio that has come in, the link polled between hops.
#
# A hop never blocks and allocates nothing; only what is told to the host (a wake, an endpoint, a reply) does.
import gc
import json
from time import ticks_diff

from micropython import const

from coproc import wire
from coproc.audio import endpoint as ep
from coproc.audio.endpoint import Endpointer
from coproc.audio.frontend import FrontEnd
from coproc.audio.ring import BLOCKS, HOP, Ring
from coproc.control import Control
from coproc.egress import CLOSING, OPEN, Gate
from coproc.link import Link
from coproc.policy import Policy
from coproc.stats import Stats
from coproc.tasks.wake import Wake

# Blocks of audio that stay behind the newest heard: the pre-roll, what an onset may be backdated by (look_back_ms),
# and the 30 ms window. The rest of the ring is what the host may send ahead.
_HISTORY = const(75)
_IDLE_MS = const(10)
# While audio waits, hops follow each other this long before the link is looked at again; a Pico's hop takes longer.
_POLL_US = const(250)
_AUDIT_LIMIT = const(16384)  # an audit that finds this much ends early, before the heap does
_OUTBOX = const(32)

IDLE = const(0)
STREAMING = const(1)
ENDING = const(2)

_REASONS = {ep.END: "silence", ep.NOTHING: "nothing", ep.LONGEST: "longest"}


class App:
    def __init__(self, port, tier):
        self.port = port
        self.tier = tier
        self.ring = Ring(tier.ring)
        self.frontend = FrontEnd(tier.frontend)
        self.wake = Wake(tier.frontend.quantize)
        self.endpointer = Endpointer(tier.endpoint, {})
        self.policy = Policy()
        self._digest = tier.ring.digest
        self._ticks = port.ticks_us
        self._outbox = []
        self._polled = 0
        self._audit = self._audit_hops = self._audit_id = self._audit_from = 0
        self._granted = -1
        self._keep = 0
        self._audio_base = 0
        self.link = Link(
            port.Stream(), self._on_frame, tier.link, on_session=self._on_session, tx_bytes=port.TX_BYTES
        )
        self.gate = Gate(self.ring, self.link.send, self.link.room)
        self.stats = Stats()
        self.task = None
        self.control = Control(self)
        self.running = True
        self.exit_code = 0
        self.restart()

    def model_task(self):
        # What runs models under test; imported for the first one, so that a board that only listens has the memory.
        if self.task is None:
            from coproc.tasks.model import ModelTask  # noqa: PLC0415

            self.task = ModelTask(self)
        return self.task

    def restart(self):
        # As after boot, but for the models that are loaded: every run of a recording starts from the same state.
        self.state = IDLE
        self.ring.reset()
        self.frontend.reset()
        self.wake.reset()
        self.endpointer.reset()
        self.gate.reset()
        self.stats.reset()
        self.digest = 0
        self.requests = 0
        self.open = False  # a request is open: a wake was heard, its utterance has not ended
        self.port.led(False)
        self._press = -1  # the block at which the button is pressed
        self._ended = None  # the endpoint event, while the gate still lets out what is due
        self._end_id = None
        self._end_samples = 0

    def run(self):
        while self.running:
            self.step()
        return self.exit_code

    def step(self):
        ring = self.ring
        if ring.heard < ring.received:
            self.hop()
            if ring.heard < ring.received and ticks_diff(self._ticks(), self._polled) < _POLL_US:
                return
            wait_ms = 0
        else:
            if self.state == ENDING:
                self._finish()
            wait_ms = 0 if not self.state and self.task and self.task.step() else _IDLE_MS
        self.port.feed()
        started = self._ticks()
        if self.gate.pump():
            self._utterance_out()
        if self._outbox:
            self._flush()
        if self.state:
            self._grant()
        if wait_ms:
            self.link.poll(wait_ms)
            if not self.link.connected:
                self.port.attached(False)
        else:
            self.link.poll(0)
            self.stats.link_us += ticks_diff(self._ticks(), started)
        self._polled = self._ticks()

    # --- the hot path

    def hop(self):
        ticks = self._ticks
        stats = self.stats
        ring = self.ring
        started = ticks()
        block = ring.heard
        frame = self.frontend.hop(ring.samples, ring.offset(block))
        ring.heard = block + 1
        if block == self._press:
            self._pressed()
        t1 = ticks()
        stats.frontend_us += ticks_diff(t1, started)
        if frame:
            features = self.frontend.features
            index = block - 2
            self.digest = self._digest(features, 40, self.digest)
            heard = self.wake.hop(features)
            t2 = ticks()
            stats.wake_us += ticks_diff(t2, t1)
            code = self.endpointer.hop(features, index)
            if code:
                self._endpoint(code, index, started)
            elif self.open:
                self.gate.extend(self.endpointer.last_speech + 2)
            if heard:
                self._woken(index, started)
            stats.endpoint_us += ticks_diff(ticks(), t2)
        stats.hop(ticks_diff(ticks(), started))
        if self._audit:
            self._audited()

    # --- what happens rarely

    def audit(self, request, hops):
        # Measures what `hops` hops allocate, link and all; `request` is answered with the bytes.
        self._audit_hops = hops
        self._audit = hops + 1
        self._audit_id = request

    def _audited(self):
        self._audit -= 1
        if self._audit == self._audit_hops:
            gc.collect()
            gc.disable()
            self._audit_from = gc.mem_alloc()
            return
        used = gc.mem_alloc() - self._audit_from
        if not self._audit or used > _AUDIT_LIMIT:
            self._audit_hops -= self._audit
            self._audit = 0
            gc.enable()
            self.tell(wire.CONTROL, {"id": self._audit_id, "ok": True, "bytes": used, "hops": self._audit_hops})

    def _woken(self, index, started):
        best = self.wake.best()
        for word in self.wake.words:
            if word.heard:
                # While a request is open a wake is told but opens nothing: what is said then belongs to the request.
                opens = word is best and not self.open
                if opens:
                    self._open(word.name, index)
                self.emit(
                    {
                        "ev": "wake",
                        "model": word.name,
                        "frame": index,
                        "sum": word.sum,
                        "outputs": word.window,
                        "request": self.requests if opens else None,
                        "us": started,
                    }
                )
                word.woken()

    def _open(self, reason, index):
        self.requests += 1
        self.open = True
        self.port.led(True)
        self.endpointer.arm(index)
        self.gate.arm(reason, self.policy.destination(reason), index + 3)

    def listen(self, block):
        # The button will be pressed when `block` is heard; now, where it was already.
        self._press = max(block, self.ring.heard)

    def _pressed(self):
        # An explicit gesture opens a request without a wake word; while one is open it does nothing.
        self._press = -1
        if not self.open:
            index = max(0, self.ring.heard - 3)
            self._open("button", index)
            self.emit({"ev": "listen", "frame": index, "request": self.requests, "us": self._ticks()})

    def _endpoint(self, code, index, started):
        if code == ep.ONSET:
            first = self.gate.open(self.endpointer.onset)
            self.emit({"ev": "speech", "frame": self.endpointer.onset, "request": self.requests, "block": first})
        else:
            self._close(_REASONS[code], index, started)

    def _close(self, reason, index, started):
        last = self.endpointer.last_speech
        entry = self.gate.entry
        spoken = self.gate.state == OPEN
        self._ended = {
            "ev": "endpoint",
            "request": self.requests,
            "reason": reason,
            "frame": last if spoken else index,
            "decided": index,
            "where": entry["destination"],
            "us": started,
        }
        self.endpointer.disarm()
        self.gate.shut(last + 2)
        if not spoken:
            self._utterance_out()

    def _utterance_out(self):
        # Everything that was due has been handed to the link; only now is the request told to be complete.
        event = self._ended
        if event:
            event["ledger"] = self.gate.entry
            event["sent_us"] = self._ticks()
            self._ended = None
            self.open = False
            self.port.led(False)
            self.emit(event)

    def end(self, request, samples):
        # The stream ends after `samples` samples; `request` is answered once they have all been heard.
        self.state = ENDING
        self._end_id = request
        self._end_samples = samples

    def _finish(self):
        ring = self.ring
        if ring.samples_seen() < self._end_samples or self.gate.state == CLOSING:
            return
        if self.open:
            # The recording stops inside a request: what was said so far is the utterance.
            if not self._ended:
                self._close("stream_end", max(0, ring.heard - 3), self._ticks())
            return
        self.state = IDLE
        self.control.ended(self._end_id)

    def _grant(self):
        # The host may send until the ring is full of what must be kept and what was not heard yet.
        ring = self.ring
        keep = ring.heard - _HISTORY
        waiting = self.gate.keep()
        if waiting is not None and waiting < keep:
            keep = waiting
        if keep < 0:
            keep = 0
        self._keep = keep
        limit = keep + BLOCKS
        if limit != self._granted:
            self._granted = limit
            self.link.grant(wire.AUDIO, self._audio_base + limit * HOP * 2)

    def start(self):
        # Opens the stream: credits count from what this link has carried before.
        self.restart()
        self._audio_base = self.link.received_bytes(wire.AUDIO)
        self._granted = -1
        self.state = STREAMING
        self._grant()

    def _on_session(self, resumed):
        self.port.attached(True)
        # Another host: whatever the last one had begun is over. Models stay until they are unloaded.
        if not resumed:
            self._outbox.clear()
            self._audit = 0
            gc.enable()
            self.control.reset()
            if self.task:
                self.task.reset()
            self.restart()

    def _on_frame(self, channel, buf, start, length):
        if channel == wire.AUDIO:
            if self.state and self.ring.put(buf, start, length, self._keep):
                self.log(wire.WARNING, "more audio than the ring holds: %d samples dropped" % self.ring.dropped)
        elif channel == wire.FILE:
            self.control.file(buf, start, length)
        elif channel == wire.CONTROL:
            self.control.request(bytes(memoryview(buf)[start : start + length]))

    # --- towards the host

    def emit(self, event):
        self.tell(wire.EVENT, event)

    def log(self, level, text):
        self._post(wire.LOG, bytes([level]) + text.encode())

    def tell(self, channel, message):
        data = json.dumps(message).encode()
        if len(data) > wire.MAX_PAYLOAD:
            # One message is one frame. What does not fit is told as that, never left out in silence.
            text = "a message of %d bytes does not fit a frame" % len(data)
            data = json.dumps({"id": message.get("id"), "ok": False, "ev": "error", "error": text}).encode()
        self._post(channel, data)

    def _post(self, channel, data):
        # Kept in order until the link has room. A host that takes nothing for long loses the oldest log lines only.
        self._outbox.append((channel, data))
        if len(self._outbox) > _OUTBOX:
            for i in range(len(self._outbox)):
                if self._outbox[i][0] == wire.LOG:
                    del self._outbox[i]
                    break
        self._flush()

    def _flush(self):
        outbox = self._outbox
        while outbox and self.link.send(outbox[0][0], outbox[0][1], 0, len(outbox[0][1])):
            outbox.pop(0)
