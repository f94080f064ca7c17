# The loader's duty (firmware/main.py) in a folder named on the command line: journals cut short at every step, boots
# that fail, safe mode.
# ruff: noqa: PTH102, PTH106, PTH107, PTH123  # MicroPython's idiom
import json
import os
import sys

import main

ROOT = sys.argv[1]
FILES = {"/.new/0": "zero", "/.new/1": "one", "/.new/2": "loader", "/coproc/old.mpy": "old", "/main.py": "before"}
JOURNAL = {
    "v": 1,
    "move": [["/.new/0", "/coproc/app.mpy"], ["/.new/1", "/coproc/nn/deep/plan.mpy"], ["/.new/2", "/main.py"]],
    "delete": ["/coproc/old.mpy", "/coproc/never.mpy"],
}
AFTER = {"/coproc/app.mpy": "zero", "/coproc/nn/deep/plan.mpy": "one", "/main.py": "loader"}


class PowerError(Exception):
    pass


class Disk:
    # The os module, whose power goes after so many changes.
    def __init__(self, changes=1 << 20):
        self.left = changes
        self.stat = os.stat

    def _change(self, change, *names):
        if not self.left:
            raise PowerError
        change(*names)
        self.left -= 1

    def rename(self, source, target):
        self._change(os.rename, source, target)

    def remove(self, path):
        self._change(os.remove, path)

    def mkdir(self, path):
        self._change(os.mkdir, path)


def write(path, text):
    folders = path.split("/")[1:-1]
    at = ROOT
    for folder in folders:
        at += "/" + folder
        try:  # noqa: SIM105  MicroPython has no contextlib
            os.mkdir(at)
        except OSError:
            pass
    with open(ROOT + path, "w") as file:
        file.write(text)


def tree(path=""):
    # Every file below: {name: text}.
    found = {}
    for entry in os.ilistdir(ROOT + path):
        name = path + "/" + entry[0]
        if entry[1] & 0x4000:
            found.update(tree(name))
        else:
            with open(ROOT + name) as file:
                found[name] = file.read()
    return found


def clear(path=""):
    for entry in list(os.ilistdir(ROOT + path)):
        name = path + "/" + entry[0]
        if entry[1] & 0x4000:
            clear(name)
            os.rmdir(ROOT + name)
        else:
            os.remove(ROOT + name)


# Without a journal nothing is touched.
main.os = Disk(0)
main.Boot(ROOT).finish_journal()

# Power that goes after any number of steps, and again while the next boot goes on: the end is the same.
cuts = 0
steps = 0
while True:
    finished = False
    for second in range(steps + 2):
        clear()
        for name, text in FILES.items():
            write(name, text)
        write("/.journal", json.dumps(JOURNAL))
        for boot, changes in enumerate((steps, second, 1 << 20)):
            main.os = Disk(changes)
            try:
                main.Boot(ROOT).finish_journal()
                finished = finished or not boot
            except PowerError:
                cuts += 1
        assert tree() == AFTER, (steps, second, tree())
    if finished:
        break
    steps += 1
assert steps == 7, steps  # 3 moves, 2 folders, a removal, the journal; then nothing is left to cut
main.os = Disk()

# A journal that is no journal is told, and the firmware is not started.
started = []
real_start = main.start
real_boot = main.Boot
main.Boot = lambda: real_boot(ROOT)
said = []
main.print = said.append
main.start = lambda healthy: started.append(healthy)  # noqa: PLW0108  # called by keyword
for text in ("", '{"v": 1, "move"', '{"v": 2, "move": [], "delete": []}', '{"v": 1}', "[]"):
    clear()
    write("/.journal", text)
    main.boot()
    assert not started and "not started" in said.pop(), text
    assert "/.journal" in tree()

# Three boots whose firmware never comes to its loop; the fourth is safe mode, and so is the next.
clear()
for count in range(3):
    main.boot()
    assert len(started) == count + 1 and not said
for _ in range(2):
    main.boot()
    assert len(started) == 3 and "safe mode" in said.pop() and not said
assert real_boot(ROOT).count() == 3

# One that comes to its loop clears the count, be it the third.
os.remove(ROOT + "/.boots")
for _ in range(3):
    main.boot()
started.pop()()
assert tree() == {}
main.boot()
assert not said


# Ctrl-C while it starts is somebody's wish, not a failure.
def interrupted(healthy):
    raise KeyboardInterrupt


clear()
main.start = interrupted
for _ in range(5):
    try:
        main.boot()
        raise AssertionError("Ctrl-C was lost")
    except KeyboardInterrupt:
        pass
assert tree() == {} and not said
print("ok", cuts)
