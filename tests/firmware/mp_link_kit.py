# A byte stream in memory for the tests of the link: what the board reads is fed, what it writes is kept or dropped.
# It allocates nothing once it stands.


class MemoryStream:
    def __init__(self, keep=0):
        self.data = b""
        self.at = 0
        self.chunk = 4096
        self.kept = bytearray(keep)
        self.written = 0
        self.room = 1 << 29
        self.waited = 0

    def feed(self, data):
        self.data = data
        self.at = 0

    def readinto(self, buf):
        data = self.data
        at = self.at
        count = min(len(data) - at, len(buf), self.chunk)
        for i in range(count):
            buf[i] = data[at + i]
        self.at = at + count
        return count

    def write(self, buf, start, n):
        n = min(n, self.room)
        kept = self.kept
        at = self.written
        if at + n <= len(kept):
            for i in range(n):
                kept[at + i] = buf[start + i]
            self.written = at + n
        self.room -= n
        return n

    def wait(self, ms):
        self.waited += ms

    def take(self):
        # What was written, as frames before COBS: (type, channel, seq, payload).
        frames = []
        for encoded in bytes(self.kept[: self.written]).split(b"\0"):
            if encoded:
                frame = unstuff(encoded)
                frames.append((frame[0], frame[1], frame[2] | frame[3] << 8, frame[6:-4]))
        self.written = 0
        return frames


def unstuff(encoded):
    out = bytearray()
    at = 0
    while at < len(encoded):
        code = encoded[at]
        out.extend(encoded[at + 1 : at + code])
        at += code
        if code < 255 and at < len(encoded):
            out.append(0)
    return bytes(out)


def frame(kernels, kind, channel, seq, payload):
    plain = bytearray(1036)
    out = bytearray(1048)
    kernels.pack(plain, kind, channel, seq, payload, 0, len(payload))
    return bytes(out[: kernels.seal(plain, len(payload), out, 0)])


def hello(kernels, session="s", following=0, version=1, max_payload=1024):
    import json

    fields = {"version": version, "session": session, "max_payload": max_payload, "next": following}
    return frame(kernels, 1, 0, 0, json.dumps(fields).encode())


def tiers():
    # The kernels of every tier that runs here.
    found = []
    for name in ("asm", "viper", "bytecode"):
        try:  # noqa: SIM105  MicroPython has no contextlib
            found.append(__import__("coproc.link_" + name, None, None, ("kernels",)))
        except SyntaxError:
            pass
    return found
