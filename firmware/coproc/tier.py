# Picks the kernels: asm > viper > bytecode, three bodies of the same integer arithmetic.
#
# A MicroPython without a native emitter raises SyntaxError when it compiles a viper function, and ValueError when it
# loads an .mpy with foreign native code: either way the next tier is tried.


class Tier:
    def __init__(self, name):
        self.name = name
        load = __import__
        self.ring = load("coproc.audio.ring_" + name, None, None, ("ring",))
        self.frontend = load("coproc.audio.frontend_" + name, None, None, ("frontend",))
        self.endpoint = load("coproc.audio.endpoint_" + name, None, None, ("endpoint",))
        self.nn = load("coproc.nn.kernels_" + name, None, None, ("kernels",))
        self.link = load("coproc.link_" + name, None, None, ("link",))


def pick(forced=None):
    # The best tier that runs here; `forced` names one and lets its error out.
    if forced:
        return Tier(forced)
    try:
        return Tier("viper")
    except (SyntaxError, ValueError):
        return Tier("bytecode")
