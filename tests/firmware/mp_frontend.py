# Features of many recordings: argv is the tier; standard input holds, per recording, a u32 count of hops and then its
# int16 samples; standard output gets the u16 features of every frame. One front end serves all, reset in between.
import sys
from array import array

from coproc.audio.frontend import FrontEnd

kernels = __import__("coproc.audio.frontend_" + sys.argv[1], None, None, ("kernels",))
front_end = FrontEnd(kernels)
source = sys.stdin.buffer
sink = sys.stdout.buffer
block = array("h", bytes(2 * 160 * 10))  # ten hops, so that offsets differ
places = [memoryview(block)[160 * i : 160 * i + 160] for i in range(10)]

while True:
    head = source.read(4)
    if not head:
        break
    front_end.reset()
    for hop in range(int.from_bytes(head, "little")):
        if source.readinto(places[hop % 10]) != 320:
            raise EOFError("a recording is cut short")
        if front_end.hop(block, hop % 10 * 160):
            sink.write(front_end.features)
        elif hop >= 2:
            raise AssertionError("a full window gave no frame")
