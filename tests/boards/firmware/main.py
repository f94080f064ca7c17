# A firmware for tests: echoes, takes files, and fails in all the ways that a firmware can.
import binascii
import gc
import hashlib
import json
import sys

from coproc import port, wire
from coproc.link import Link

here = port.current()


class Echo:
    def __init__(self):
        kernels = None
        tier = here.forced_tier()
        if tier:
            kernels = __import__("coproc.link_" + tier, None, None, ("link",))
        self.link = Link(here.Stream(), self.on_frame, kernels, ((wire.AUDIO, 16384), (wire.FILE, 8192)))
        self.taken = 0
        self.waiting = 0
        self.echo = True
        self.upload = None
        self.code = None
        self.backlog = []

    def on_frame(self, channel, buf, start, length):
        link = self.link
        if channel == wire.AUDIO:
            self.taken += length
            if self.echo:
                self.waiting += length
                self.post(wire.UTTERANCE, bytes(memoryview(buf)[start : start + length]))
            else:
                link.grant(wire.AUDIO, self.taken + 16384)
        elif channel == wire.FILE:
            self.file(bytes(memoryview(buf)[start : start + length]))
        elif channel == wire.CONTROL:
            self.control(json.loads(bytes(memoryview(buf)[start : start + length])))

    def post(self, channel, data):
        self.backlog.append((channel, data))
        self.flush()

    def flush(self):
        while self.backlog and self.link.send(self.backlog[0][0], self.backlog[0][1], 0, len(self.backlog[0][1])):
            channel, data = self.backlog.pop(0)
            if channel == wire.UTTERANCE:
                # What waits to be echoed counts against the credit: the heap is small.
                self.waiting -= len(data)
                self.link.grant(wire.AUDIO, self.taken - self.waiting + 16384)

    def tell(self, message):
        self.post(wire.CONTROL, json.dumps(message).encode())

    def file(self, data):
        load = self.upload
        load["sha"].update(data)
        load["got"] += len(data)
        self.link.grant(wire.FILE, self.link.received_bytes(wire.FILE) + 8192)
        if load["got"] == load["bytes"]:
            found = binascii.hexlify(load["sha"].digest()).decode()
            ok = found == load["sha256"]
            self.tell({"id": load["id"], "ok": ok, "error": "" if ok else "wrong hash", "sha256": found})
            self.upload = None

    def control(self, message):  # noqa: C901, PLR0912  # one branch per trick
        op = message["op"]
        reply = {"id": message["id"], "ok": True}
        if op == "info":
            reply["machine"] = here.MACHINE
            reply["kernels"] = (
                self.link._decode.__globals__["NAME"] if hasattr(self.link._decode, "__globals__") else ""
            )
            reply["heap_free"] = gc.mem_free()
        elif op == "load":
            if message.get("refuse"):
                reply = {"id": message["id"], "ok": False, "error": "no room for it"}
            else:
                self.upload = message
                message["sha"] = hashlib.sha256()
                message["got"] = 0
                return
        elif op == "echo":
            self.echo = message["on"]
        elif op == "event":
            for i in range(message["count"]):
                self.post(wire.EVENT, json.dumps({"ev": "tick", "n": i, "us": here.ticks_us()}).encode())
        elif op == "counters":
            reply["link"] = self.link.counters()
        elif op == "silent":
            return
        elif op == "nonsense":
            self.post(wire.CONTROL, b"\xff\x00{")
            self.tell({"id": 999999, "ok": True})
            self.tell([1])
        elif op == "noise":
            print("this goes to standard output, where the link runs")
        elif op == "stderr":
            for i in range(message["lines"]):
                sys.stderr.write("line " + str(i) + " of what the firmware says on its error output\n")
        elif op == "raise":
            raise RuntimeError(message["text"])
        elif op == "exit":
            self.code = message["code"]
        elif op == "hang":
            while True:
                pass
        self.tell(reply)

    def run(self):
        while self.code is None:
            self.link.poll(10)
            self.flush()
        return self.code


def main():
    try:
        code = Echo().run()
    except EOFError:
        code = 0
    here.exit(code)


if __name__ == "__main__":
    main()
