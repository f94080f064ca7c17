# The choice of kernels. Argument: the name of the tier that a port which lists all three must get.
import sys

from coproc import tier

TIERS = ("asm", "viper", "bytecode")
FUNCTIONS = (
    ("ring", "write read digest"),
    ("frontend", "words take window transform energies channels reduce_noise gain_and_log quantize"),
    ("endpoint", "level"),
    ("link", "decode seal pack charge"),
)
expected = sys.argv[1]

assert tier.pick(TIERS).name == expected, tier.pick(TIERS).name
assert tier.pick(("bytecode",)).name == "bytecode", "a port that lists one gets that"
assert tier.pick(TIERS, "bytecode").name == "bytecode", "a forced tier"

# Every tier is complete.
for name in TIERS[TIERS.index(expected) :]:
    kernels = tier.pick((), name)
    for part, functions in FUNCTIONS:
        for function in functions.split():
            assert callable(getattr(getattr(kernels, part), function)), (name, part, function)

# One that does not run here is refused when forced.
if expected != "asm":
    said = ""
    try:
        tier.pick(TIERS, "asm")
    except RuntimeError as error:
        said = str(error)
    assert said.startswith("the asm tier does not run on this MicroPython: "), said

# A module that is missing is no reason to take another tier.
tier._MODULES[TIERS[0]] = ("coproc.audio.ring_none",) * 5
try:
    tier.pick(TIERS)
    raise AssertionError("a missing module went unnoticed")
except ImportError:
    print("ok")
