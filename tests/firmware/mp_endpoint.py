# Feeds recorded features to the endpointer and prints, per recording, one line: code onset last_speech decided.
# Arguments: tier, file, options as JSON. The file holds recordings: frames and arming frame (both int32 LE), then
# frames x 40 uint16 LE. The arming frame may be -1: never.
import json
import struct
import sys
from array import array

from coproc.audio import endpoint

tier = __import__("coproc.audio.endpoint_" + sys.argv[1], None, None, ("x",))
endpointer = endpoint.Endpointer(tier, json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
features = array("H", bytes(80))
head = bytearray(8)
with open(sys.argv[2], "rb") as file:  # noqa: PTH123  MicroPython has no pathlib
    while file.readinto(head) == 8:
        frames, arm = struct.unpack("<ii", head)
        endpointer.reset()
        code, decided, check = 0, -1, 0
        for hop in range(frames):
            file.readinto(features)
            result = endpointer.hop(features, hop)
            check = (check * 31 + endpointer.level) & 0xFFFFFF
            if result > endpoint.ONSET:
                code, decided = result, hop
                endpointer.disarm()
            if hop == arm:
                endpointer.arm(hop)
        print(code, endpointer.onset, endpointer.last_speech, decided, check)
