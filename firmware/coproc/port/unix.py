# The unix port: standard input (non-blocking) and standard output (blocking) carry the link, standard error the
# tracebacks. What is printed to standard output would only look like noise to the link.
import select
import sys
from time import ticks_diff, ticks_us, time_ns  # noqa: F401  # this module is where the firmware gets its clock from

MACHINE = "unix"

# Kernel tiers, best first. The assembler's is for Thumb; _mpy tells for what processor this interpreter emits native
# code, where 4 to 8 are ARMv6-M to ARMv7E-M.
_ARCH = (getattr(sys.implementation, "_mpy", 0) >> 10) & 31
TIERS = ("asm", "viper", "bytecode") if 4 <= _ARCH <= 8 else ("viper", "bytecode")
TX_BYTES = 8192  # what the link keeps of what it has sent, until that is acknowledged

# Where POLLOUT is reported a pipe takes this much without blocking.
_PIPE_BUF = 4096 if sys.platform == "linux" else 512


ticks_ns = time_ns


def forced_tier():
    """The kernel tier that the command line names (tier=bytecode), or None."""
    for argument in sys.argv[1:]:
        if argument.startswith("tier="):
            return argument[5:] or None
    return None


def attached(host):
    """A host's session has begun, or none is left: nothing changes here."""


def led(on):
    """There is none."""


def configure(clock_hz, watchdog_ms):
    """Neither is for a process to choose."""


def feed():
    """There is no watchdog."""


def release():
    """The loop has ended: nothing is to be given back."""


def facts():
    """What `info` tells of this machine beyond what every port has."""
    return {}


def exit(code):  # noqa: A001  # what every port calls it
    """Ends the process with this code."""
    sys.exit(code)


class Stream:
    def __init__(self, source=None, sink=None):
        self._source = source or sys.stdin.buffer
        self._sink = sink or sys.stdout.buffer
        self._readable = select.poll()
        self._readable.register(self._source, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._sink, select.POLLOUT)

    def readinto(self, buf):
        """Reads what is there, up to len(buf) bytes; 0 where nothing is. EOFError: the host has closed."""
        count = self._source.readinto(buf)
        if count is None:
            return 0
        if count == 0:
            raise EOFError
        return count

    def write(self, buf, start, n):
        """Writes up to n bytes of buf from start on, as many as go without blocking; returns how many did."""
        done = 0
        while done < n:
            ready = 0
            for item in self._writable.ipoll(0):
                ready = item[1]
            if not ready & select.POLLOUT:
                if ready:
                    raise EOFError  # nobody reads any more
                return done
            part = n - done
            if part > _PIPE_BUF:
                part = _PIPE_BUF
            wrote = self._sink.write(buf, start + done, part)
            if wrote is None:
                return done
            done += wrote
        return done

    def wait(self, ms):
        """Returns once there is something to read, or after ms milliseconds."""
        for _ in self._readable.ipoll(ms):
            pass
