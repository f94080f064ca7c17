"""The viper tier: one call runs one record of a plan (firmware/PLAN.md).

Every kernel is `kernel(arena, blob, record)`: the bytearray that holds all tensors, the plan, and the record's offset
in the plan. Nothing is allocated and nothing is checked there: the loader has checked every offset. int8 tensors are
held as value + 128, so that an unsigned byte load needs no sign extension; wider ones as they are.

The first two names of a viper function live in registers, hence the pointers of the innermost loop reuse `arena` and
`blob`. The same source serves 32- and 64-bit builds: 32-bit loads are unsigned on 64-bit ones, and a constant from
2**30 up is an object, so those are made by shifting.
"""

TIER = "viper"
# By family (coproc.nn.check.FAMILIES): the module that holds its kernels, imported when a plan needs it.
MODULES = (
    "move_viper",
    "dot_viper",
    "wide_viper",
    "unary_viper",
    "binary_viper",
    "pool_viper",
    "soft_viper",
    "recurrent_viper",
    "reduce_viper",
    "lstm_viper",
)
# By packing of the weights: such tables, of which the first that has a kernel for a record counts.
TABLES = {1: (MODULES,)}
