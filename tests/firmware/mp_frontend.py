# Features of many recordings: argv is the tier; standard input holds, per recording, a u32 count of hops and then its
# int16 samples; standard output gets the u16 features of every frame.
import sys
from array import array

from coproc.audio.frontend import FrontEnd

kernels = __import__("coproc.audio.frontend_" + sys.argv[1], None, None, ("kernels",))
front_end = FrontEnd(kernels)
source = sys.stdin.buffer
sink = sys.stdout.buffer
block = array("h", bytes(2 * 160 * 10))  # ten hops, so that offsets differ
used = 0
head = bytearray(4)


def fill(buf):
    view = memoryview(buf)
    have = 0
    while have < len(buf):
        got = source.readinto(view[have:])
        if not got:
            return have
        have += got
    return have


view = memoryview(block)
while fill(head):
    front_end.reset()
    for hop in range(int.from_bytes(head, "little")):
        offset = hop % 10 * 160
        at = view[offset : offset + 160]
        if source.readinto(at) != 320:
            raise EOFError("a recording is cut short")
        if front_end.hop(block, offset):
            sink.write(front_end.features)
