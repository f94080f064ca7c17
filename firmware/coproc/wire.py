# What both ends of the link agree on (firmware/LINK.md). The host's copy is bodydouble/link/wire.py; a test compares.
from micropython import const

VERSION = const(1)

# Frame types
HELLO = const(1)
ACK = const(2)
DATA = const(3)
PING = const(4)
PONG = const(5)
CLOSE = const(6)

# Channels
CONTROL = const(0)
EVENT = const(1)
AUDIO = const(2)
FILE = const(3)
UTTERANCE = const(4)
LOG = const(5)
FEATURE = const(6)
TENSOR = const(7)
CHANNELS = const(8)

# Levels of the log channel: the first byte of each of its payloads
DEBUG = const(0)
INFO = const(1)
WARNING = const(2)
ERROR = const(3)

# Sizes in bytes
HEADER = const(6)  # type u8, channel u8, seq u16, length u16
TRAILER = const(4)  # crc32 u32
MAX_PAYLOAD = const(1024)  # of any frame, and what an end offers unless its hello says less
MIN_PAYLOAD = const(64)  # the least that a hello may say
MAX_FRAME = const(1034)  # header, largest payload, trailer
MAX_ENCODED = const(1040)  # the same after COBS, delimiter included
MAX_REASON = const(256)  # text of a CLOSE
MAX_SESSION = const(32)  # characters of a session id
MAX_SACKS = const(8)  # ranges in an ACK
MAX_CREDITS = const(8)  # entries in an ACK
MAX_FILE = const(1048576)  # one upload on the file channel

WINDOW = const(1024)  # most frames that a sender may have unacknowledged
