"""The bytecode tier, plain MicroPython: the readable reference of the faster ones, bit for bit the same.

Every kernel is `kernel(arena, blob, record)`: the bytearray that holds all tensors, the plan, and the record's offset
in the plan (firmware/PLAN.md). int8 tensors are held as value + 128, wider ones as they are. The loader has checked
every offset.
"""

TIER = "bytecode"
# By family (coproc.nn.check.FAMILIES): the module that holds its kernels, imported when a plan needs it.
MODULES = (
    "move_bytecode",
    "dot_bytecode",
    "wide_bytecode",
    "unary_bytecode",
    "binary_bytecode",
    "pool_bytecode",
    "soft_bytecode",
    "recurrent_bytecode",
    "reduce_bytecode",
    "lstm_bytecode",
)
# By packing of the weights: such tables, of which the first that has a kernel for a record counts.
TABLES = {1: (MODULES,)}
