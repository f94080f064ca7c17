# Picks the kernels: asm > viper > bytecode, three bodies of the same integer arithmetic.
#
# A MicroPython without a native emitter, or without the inline assembler, raises SyntaxError when it compiles such a
# function, and ValueError when it loads an .mpy with foreign native code: either way the next tier is tried.

# Ring, front end, endpointing, neural network, link. A tier that lacks a part names the next tier's module.
_MODULES = {
    "asm": (
        "coproc.audio.ring_asm",
        "coproc.audio.frontend_asm",
        "coproc.audio.endpoint_asm",
        "coproc.nn.kernels_asm",
        "coproc.link_asm",
    ),
    "viper": (
        "coproc.audio.ring_viper",
        "coproc.audio.frontend_viper",
        "coproc.audio.endpoint_viper",
        "coproc.nn.kernels_viper",
        "coproc.link_viper",
    ),
    "bytecode": (
        "coproc.audio.ring_bytecode",
        "coproc.audio.frontend_bytecode",
        "coproc.audio.endpoint_bytecode",
        "coproc.nn.kernels_bytecode",
        "coproc.link_bytecode",
    ),
}


class Tier:
    def __init__(self, name):
        self.name = name
        # With a name to import from it, __import__ returns the module and not its package.
        self.ring, self.frontend, self.endpoint, self.nn, self.link = [
            __import__(module, None, None, ("kernels",)) for module in _MODULES[name]
        ]


def pick(tiers, forced=None):
    # The first of the port's tiers that runs here; `forced` names one, and no other will do.
    if forced:
        try:
            return Tier(forced)
        except (SyntaxError, ValueError) as error:
            raise RuntimeError("the %s tier does not run on this MicroPython: %s" % (forced, error)) from None
    for name in tiers[:-1]:
        try:
            return Tier(name)
        except (SyntaxError, ValueError):
            pass
    return Tier(tiers[-1])
