# The loader: what a board runs first. It finishes a deploy that was cut short, counts boots so that firmware that
# fails three times is left alone, and starts the firmware. It imports nothing of coproc before that, and a board
# keeps this file as source: whatever else is damaged, it runs.
import gc
import json
import os
import sys

FAILED_BOOTS = 3
# While what stays is loaded, the heap is tidied each time this much was used: the rest is then free in one piece.
TIDY_BYTES = 8192


def start(tier=None, clock_hz=0, watchdog_ms=0, healthy=None):
    """Run the firmware until the host ends it or wants the board without it; on this kernel tier where one is named.

    `clock_hz` sets the processor's clock and `watchdog_ms` a watchdog, where the port has them. `healthy` is called
    once the loop runs. Ctrl-C ends it, too, while there is no session.
    """
    gc.collect()  # what an earlier run left
    gc.threshold(TIDY_BYTES)
    from coproc import port  # noqa: PLC0415  # not before the loader has done its duty
    from coproc.app import App  # noqa: PLC0415
    from coproc.link import Attention  # noqa: PLC0415
    from coproc.tier import pick  # noqa: PLC0415

    current = port.current()
    code = 0
    try:
        app = App(current, pick(current.TIERS, tier or current.forced_tier()))
        current.configure(clock_hz, watchdog_ms)
        gc.threshold(-1)
        app.step()
        if healthy:
            healthy()
        code = app.run()
    except (EOFError, Attention):
        pass  # the host has closed the stream, or asks for the REPL
    finally:
        current.release()
    current.exit(code)


class Boot:
    """What stands in the filesystem below `root` about boots, and about a deploy that may have been cut short."""

    def __init__(self, root=""):
        self._root = root
        self._journal = root + "/.journal"
        self._boots = root + "/.boots"

    def finish_journal(self):
        """Move and delete what the journal names, then the journal. Any step may be cut short: the next boot goes on.

        ValueError, KeyError: a journal that was never whole. OSError: the filesystem is full or damaged.
        """
        if not _exists(self._journal):
            return
        with open(self._journal) as file:
            journal = json.load(file)
        if journal["v"] != 1:
            raise ValueError("a journal of version %s" % journal["v"])
        # Move before looking: where power failed between a move's two halves, LittleFS hides the file after the moved
        # one, too, until something is first written.
        for source, target in journal["move"]:
            try:
                os.rename(self._root + source, self._root + target)
            except OSError:
                if _exists(self._root + source):  # else it was moved before
                    self._make_parents(target)
                    os.rename(self._root + source, self._root + target)
        for path in journal["delete"]:
            if _exists(self._root + path):
                os.remove(self._root + path)
        os.remove(self._journal)

    def _make_parents(self, path):
        at = path.find("/", 1)
        while at > 0:
            if not _exists(self._root + path[:at]):
                os.mkdir(self._root + path[:at])
            at = path.find("/", at + 1)

    def count(self):
        """How many boots before this one, in a row, never came to the firmware's loop; this one is one more."""
        failed = 0
        if _exists(self._boots):
            with open(self._boots) as file:
                failed = len(file.read())
        if failed < FAILED_BOOTS:
            with open(self._boots, "a") as file:
                file.write("x")
        return failed

    def forget(self):
        """This boot did not fail."""
        if _exists(self._boots):
            os.remove(self._boots)


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def boot():
    """Start the firmware unless its boots have failed too often; the REPL is there whatever happens."""
    state = Boot()
    try:
        state.finish_journal()
        failed = state.count()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print("bodydouble: not started, deploy it again (%s: %s)" % (type(error).__name__, error))  # noqa: T201
        return
    if failed >= FAILED_BOOTS:
        print("bodydouble: safe mode after %d boots that failed: deploy again, or remove /.boots" % failed)  # noqa: T201
        return
    try:
        start(healthy=state.forget)
    except KeyboardInterrupt:
        state.forget()
        raise


if __name__ == "__main__":
    if sys.platform in ("linux", "darwin"):
        start()
    else:
        boot()
