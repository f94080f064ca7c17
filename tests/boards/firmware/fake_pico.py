# ruff: noqa: BLE001, PTH116, PTH123, S102, SIM115, TRY300  # MicroPython; a REPL runs whatever comes
# A board for tests: the raw REPL of a Pico under MicroPython's unix port, with LittleFS in a file. While code runs,
# the terminal makes Ctrl-C a signal, as a Pico's interrupt handler does: at any moment, whatever stands in the input.
# It also makes \n a \r\n.
#
#     micropython fake_pico.py FLASH_FILE [rescue]
import os
import sys
import termios

import vfs

BLOCK, BLOCKS = 4096, 352
CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = 1, 2, 3, 4, 5
WINDOW = 128
ISIG = 1 if sys.platform == "linux" else 0x80

stdin = sys.stdin.buffer
stdout = sys.stdout.buffer
one = bytearray(1)


class Flash:
    # `left` counts down with every write and erasure; at the last one the power fails half way through it.
    def __init__(self, path):
        self.left = 1 << 30
        try:
            self.file = open(path, "r+b")
        except OSError:
            with open(path, "wb") as file:
                file.write(b"\xff" * BLOCK * BLOCKS)
            self.file = open(path, "r+b")

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * BLOCK + offset)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self.write(block * BLOCK + offset, buf)

    def write(self, at, data):
        self.left -= 1
        self.file.seek(at)
        if not self.left:
            self.file.write(data[: len(data) // 2])
            os.system("kill -9 $PPID")  # noqa: S605
        self.file.write(data)

    def ioctl(self, op, arg):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6:
            self.write(arg * BLOCK, b"\xff" * BLOCK)
        return 0


class Reset(BaseException):
    pass


class Machine:
    # What a board's machine module has and a test needs.
    def reset(self):
        raise Reset

    def deafen(self):
        # As kbd_intr(-1) does on a board.
        interruptible(False)


class Rp2:
    def Flash(self):
        return flash


def mount(path):
    flash = Flash(path)
    try:
        files = vfs.VfsLfs2(flash, progsize=256)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        files = vfs.VfsLfs2(flash, progsize=256)
    vfs.umount("/")
    vfs.mount(files, "/")
    os.chdir("/")
    return flash


def fresh():
    for name in list(sys.modules):
        del sys.modules[name]
    sys.modules["machine"] = Machine()
    sys.modules["rp2"] = Rp2()
    sys.path[:] = ["", "/lib"]
    return {"__name__": "__main__", "flash": flash}


def interruptible(on):
    # Two Ctrl-C in a row are two signals: the second may come when nothing runs any more.
    while True:
        try:
            mode = termios.tcgetattr(0)
            mode[3] = mode[3] | ISIG if on else mode[3] & ~ISIG
            termios.tcsetattr(0, termios.TCSANOW, mode)
            return
        except KeyboardInterrupt:
            if on:
                raise


def byte():
    while True:
        try:
            if not stdin.readinto(one):
                raise SystemExit
            return one[0]
        except KeyboardInterrupt:
            pass


def say(data):
    stdout.write(data)


def raw_paste():
    # Returns the source, or None where it was broken off.
    say(b"R\x01" + bytes((WINDOW & 255, WINDOW >> 8)) + b"\x01")
    source = bytearray()
    left = WINDOW
    while True:
        c = byte()
        if c == CTRL_D:
            say(b"\x04")
            return source
        if c == CTRL_C:
            say(b"\x04")
            return None
        source.append(c)
        left -= 1
        if not left:
            say(b"\x01")
            left = WINDOW


def run(source, names):
    failure = None
    try:
        if source is None:
            raise KeyboardInterrupt
        code = compile(source.decode(), "<stdin>", "exec")
        interruptible(True)
        exec(code, names)
        interruptible(False)
    except Reset:
        raise
    except BaseException as error:
        failure = error
    interruptible(False)
    say(b"\x04")
    if failure:
        sys.print_exception(failure, sys.stdout)
    say(b"\x04")


def banner():
    say(b"raw REPL; CTRL-B to exit\n")


class Repl:
    def __init__(self):
        self.names = fresh()
        self.raw = False
        self.line = bytearray()

    def prompt(self):
        self.line = bytearray()
        say(b">" if self.raw else b"\n>>> ")

    def serve(self):
        while True:
            c = byte()
            if c == CTRL_A:
                if self.raw and self.line == b"\x05A":
                    self.line = bytearray()
                    run(raw_paste(), self.names)
                else:
                    self.raw = True
                    banner()
                self.prompt()
            elif c == CTRL_B:
                self.raw = False
                self.prompt()
            elif c == CTRL_C:
                self.line = bytearray()
                if not self.raw:
                    self.prompt()
            elif c == CTRL_D and self.raw:
                if self.line:
                    say(b"OK")
                    run(self.line, self.names)
                else:
                    say(b"OK\nMPY: soft reboot\n")
                    self.names = fresh()
                    banner()
                self.prompt()
            elif c == 13 and not self.raw:
                self.prompt()
            elif c:
                self.line.append(c)


def boot():
    for path in ("/boot.py", "/main.py"):
        try:
            os.stat(path)
        except OSError:
            continue
        failure = None
        try:
            with open(path) as file:
                code = compile(file.read(), path, "exec")
            interruptible(True)
            exec(code, fresh())
            interruptible(False)
        except Reset:
            raise
        except BaseException as error:
            failure = error
        interruptible(False)
        if failure:
            sys.print_exception(failure, sys.stdout)


def run_board():
    interruptible(False)
    if "rescue" not in sys.argv:
        boot()
    here = Repl()
    here.prompt()
    while True:
        try:
            here.serve()
        except KeyboardInterrupt:  # the second of two, that came when nothing ran any more
            interruptible(False)


flash = mount(sys.argv[1])
while True:
    try:
        run_board()
    except Reset:
        say(b"\n")
