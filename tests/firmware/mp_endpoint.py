# Feeds recorded features to the endpointer and prints, per recording, one line: code onset last_speech decided.
# Arguments: tier, file, options as JSON, and where a model helps: its plan, begin, stay, deny, lag. The file holds
# recordings: frames and arming frame (both int32 LE), then frames x 40 uint16 LE. The arming frame may be -1: never.
# The last number printed is a check value over every frame's level, or over the model's outputs.
import json
import struct
import sys
from array import array

from coproc.audio import endpoint

tier = __import__("coproc.audio.endpoint_" + sys.argv[1], None, None, ("x",))
voice = None
if len(sys.argv) > 4:
    from coproc.audio.voice import Voice
    from coproc.nn.plan import load

    with open(sys.argv[4], "rb") as file:  # noqa: PTH123  MicroPython has no pathlib
        plan = bytearray(file.read())
    kernels, frontend = (
        __import__(name + sys.argv[1], None, None, ("x",))
        for name in ("coproc.nn.kernels_", "coproc.audio.frontend_")
    )
    voice = Voice(load(plan, kernels), frontend.quantize, *[int(arg) for arg in sys.argv[5:9]])
endpointer = endpoint.Endpointer(tier, json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}, voice)
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
        if voice:
            check = voice.digest
        print(code, endpointer.onset, endpointer.last_speech, decided, check)
