# Answers the host's requests: small JSON objects {"id", "op", ...} in, {"id", "ok", ...} or {"id", "error"} out.
import binascii
import gc
import hashlib
import json
import sys

from coproc import wire
from coproc.audio.endpoint import Endpointer
from coproc.nn.check import PlanError
from coproc.nn.plan import load, warm
from coproc.tasks.wake import Word

_WORDS_MAX = 8  # wake words at once, and characters of a name: with more the report would outgrow a frame
_NAME_MAX = 24
_TAPS_MAX = 4096
_TIDY_BYTES = 4096  # of garbage, then the heap is tidied while a plan loads: what that imports lies close together
_SPARE = 16384  # heap that a plan must leave free, so that the loop and its events keep working


class Refused(Exception):
    # A request that cannot be carried out; its text goes to the host as it is.
    pass


class Control:
    def __init__(self, app):
        self._app = app
        warm(app.tier.nn)
        self.reset()

    def reset(self):
        # An upload that was under way is forgotten.
        self._upload = None  # what op_load was asked for, while its plan is being received
        self._blob = None
        self._filled = 0

    def request(self, data):
        reply = {"id": None, "ok": True}
        try:
            message = json.loads(data)
            if not isinstance(message, dict):
                raise Refused("a request must be a JSON object")
            reply["id"] = message.get("id")
            handler = getattr(self, "op_" + str(message.get("op")), None)
            if handler is None:
                raise Refused("unknown op %s" % message.get("op"))
            handler(message, reply)
        except (Refused, PlanError, ValueError, KeyError, TypeError, MemoryError) as error:
            text = str(error)
            if isinstance(error, KeyError):
                text = "the request lacks " + text
            elif not isinstance(error, (Refused, PlanError)):
                text = "%s: %s" % (type(error).__name__, text)
            reply = {"id": reply["id"], "ok": False, "error": text}
        if reply["ok"] is not None:
            self._app.tell(wire.CONTROL, reply)

    # --- requests

    def op_info(self, message, reply):
        app = self._app
        implementation = sys.implementation
        reply["machine"] = app.port.MACHINE
        reply["micropython"] = ".".join([str(part) for part in implementation[1] if part != ""])
        reply["tier"] = app.tier.name
        reply["packings"] = sorted(app.tier.nn.TABLES)
        reply["heap_free"] = app.stats.heap()
        reply["heap_total"] = gc.mem_free() + gc.mem_alloc()
        reply["words"] = [word.name for word in app.wake.words]
        reply.update(app.port.facts())

    def op_load(self, message, reply):
        # A wake word, or for the task "voice" the endpointer's model, for "model" one under test: its plan follows on
        # the file channel; answered once it was verified and loaded.
        app = self._app
        if app.state:
            raise Refused("a stream is running: end it before loading a model")
        task = message.get("task")
        if task == "model":
            app.model_task().take(None)
        elif task == "voice":
            app.endpointer.voice = None
        elif len(app.wake.words) >= _WORDS_MAX or len(message["name"]) > _NAME_MAX:
            raise Refused("at most %d wake words, of %d characters each" % (_WORDS_MAX, _NAME_MAX))
        size = message["bytes"]
        if not 0 < size <= wire.MAX_FILE:
            raise Refused("a plan of %d bytes is outside 1 to %d" % (size, wire.MAX_FILE))
        needed = size + message["arena"] + _SPARE
        free = app.stats.heap()
        if needed > free:
            raise Refused("%s needs %d bytes of heap, %d are free" % (message["name"], needed, free))
        self._blob = bytearray(size)
        self._filled = 0
        self._upload = message
        app.link.grant(wire.FILE, app.link.received_bytes(wire.FILE) + size, True)
        reply["ok"] = None  # no answer yet

    def op_unload(self, message, reply):
        self._app.wake.words.clear()
        if self._app.task:
            self._app.task.take(None)
        self._app.endpointer.voice = None
        reply["heap_free"] = self._app.stats.heap()

    def op_run(self, message, reply):
        # Inferences of the model under test; answered after the last tensor has been sent.
        task = self._model_task()
        count = message["count"]
        taps = message.get("taps", 0)
        if not (0 < count < 1 << 29 and 0 <= taps <= _TAPS_MAX):
            raise Refused("a run needs a count of 1 or more and at most %d taps" % _TAPS_MAX)
        task.run(message["id"], count, taps, message.get("fresh", True))
        reply["ok"] = None

    def op_time(self, message, reply):
        rounds = message.get("rounds", 1)
        repeat = message.get("repeat", 1)
        if not (0 < rounds < 1 << 16 and 0 < repeat < 1 << 16):
            raise Refused("rounds and repeat must be 1 to 65535")
        self._model_task().time(message["id"], rounds, repeat)
        reply["ok"] = None

    def op_profile(self, message, reply):
        self._model_task().profile(message["id"])
        reply["ok"] = None

    def op_features(self, message, reply):
        # What the front end makes of the host's samples, none of which were heard here.
        blocks = message["blocks"]
        if not 0 < blocks < 1 << 24:
            raise Refused("features need 1 block of 160 samples or more")
        self._idle_task().features(message["id"], blocks, message.get("quantize", 0))
        reply["ok"] = None

    def _idle_task(self):
        if self._app.state:
            raise Refused("a stream is running: end it before running a model")
        return self._app.model_task()

    def _model_task(self):
        task = self._idle_task()
        if task.model is None:
            raise Refused("no model is loaded for a run")
        return task

    def op_start(self, message, reply):
        app = self._app
        app.policy.configure(message)
        app.endpointer = Endpointer(app.tier.endpoint, message.get("endpoint", {}), app.endpointer.voice)
        app.gate.pre_roll = self._blocks(message, "pre_roll_ms", 300)
        app.gate.post_roll = self._blocks(message, "post_roll_ms", 300)
        app.wake.mode = message.get("quantize", 0)
        app.start()
        reply["heap_free"] = app.stats.heap()

    def _blocks(self, message, name, default):
        value = message.get(name, default)
        if not 0 <= value <= 500:
            raise Refused("%s must be 0 to 500, not %s" % (name, value))
        return value // 10

    def op_end(self, message, reply):
        if not self._app.state:
            raise Refused("no stream is running")
        self._app.end(message["id"], message["samples"])
        reply["ok"] = None  # answered by ended()

    def op_listen(self, message, reply):
        if not self._app.state:
            raise Refused("no stream is running")
        self._app.listen(message.get("block", 0))

    def op_audit(self, message, reply):
        # Answered once that many hops have been heard: what they allocated, which ought to be nothing.
        hops = message["hops"]
        if not (self._app.state and 0 < hops < 1 << 20):
            raise Refused("an audit needs a running stream and 1 hop or more")
        self._app.audit(message["id"], hops)
        reply["ok"] = None

    def op_stats(self, message, reply):
        self._report(reply)

    def op_exit(self, message, reply):
        self._app.exit_code = message.get("code", 0)
        self._app.running = False

    # --- parts

    def ended(self, request):
        reply = {"id": request, "ok": True}
        self._report(reply)
        self._app.tell(wire.CONTROL, reply)

    def _report(self, reply):
        app = self._app
        app.stats.heap()
        reply["stats"] = app.stats.report()
        reply["link"] = app.link.counters()
        reply["dropped_samples"] = app.ring.dropped
        reply["bytes_out"] = app.gate.bytes_total
        reply["bytes_before_wake"] = app.gate.bytes_before_wake
        reply["tensor_bytes"] = app.gate.tensor_bytes
        reply["digest"] = {"features": app.digest}
        voice = app.endpointer.voice
        if voice:
            reply["digest"]["voice"] = voice.digest
        for word in app.wake.words:
            reply["digest"][word.name] = word.digest

    def file(self, buf, start, length):
        # A piece of the plan that op_load announced, or what a model under test is run on.
        upload = self._upload
        if upload is None:
            if self._app.task:
                self._app.task.file(buf, start, length)
            return
        if self._filled + length > len(self._blob):
            return
        self._blob[self._filled : self._filled + length] = memoryview(buf)[start : start + length]
        self._filled += length
        if self._filled == len(self._blob):
            self._upload = None
            self._install(upload)

    def _install(self, upload):
        app = self._app
        blob = self._blob
        self._blob = None
        reply = {"id": upload["id"], "ok": True}
        gc.threshold(_TIDY_BYTES)
        try:
            found = binascii.hexlify(hashlib.sha256(blob).digest()).decode()
            if found != upload["sha256"]:
                raise Refused("the plan arrived with sha256 %s" % found)
            model = load(blob, app.tier.nn)
            task = upload.get("task")
            if task == "model":
                app.model_task().take(model)
            elif task == "voice":
                from coproc.audio.voice import Voice  # noqa: PLC0415  # few boards have one

                fields = [upload[name] for name in ("begin", "stay", "deny", "lag_frames")]
                app.endpointer.voice = Voice(model, app.tier.frontend.quantize, *fields)
            else:
                app.wake.words.append(_word(model, upload))
            reply["heap_free"] = app.stats.heap()
            reply["arena_bytes"] = model.arena_bytes
            app.log(wire.INFO, "%s loaded, %d bytes of heap free" % (upload["name"], reply["heap_free"]))
        except (Refused, PlanError, ValueError, KeyError, TypeError, MemoryError) as error:
            reply = {"id": upload["id"], "ok": False, "error": str(error)}
        gc.threshold(-1)
        app.tell(wire.CONTROL, reply)


def _word(model, upload):
    if model.input_bytes != 40 * model.stride:
        raise Refused("%s takes no rows of 40 features" % upload["name"])
    return Word(
        model,
        upload["name"],
        upload["threshold"],
        upload["window"],
        upload["hold_reset"],
        upload["hold_wake"],
        upload["warmup"],
    )
