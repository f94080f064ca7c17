# Quantises every 16-bit feature in both modes: argv is the tier; standard output gets 65536 bytes a mode. A canary
# on either side of the row must survive.
import sys
from array import array

quantize = __import__("coproc.audio.frontend_" + sys.argv[1], None, None, ("kernels",)).quantize
features = array("H", bytes(80))
row = bytearray(46)
for mode in (0, 1):
    at = 0
    while at < 65536:
        for i in range(40):
            features[i] = min(at + i, 65535)
        row[2] = row[43] = 0xA5
        quantize(features, row, 3, mode)
        if row[2] != 0xA5 or row[43] != 0xA5:
            raise AssertionError("quantize writes outside its row")
        sys.stdout.buffer.write(row[3 : 3 + min(40, 65536 - at)])
        at += 40
