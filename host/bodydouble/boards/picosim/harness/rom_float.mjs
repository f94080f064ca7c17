// The floating-point tables of the boot ROM (datasheet 2.8.3.2), computed by the host.
//
// Entries are in the order of pico-sdk's SF_TABLE_*. Costs are near the datasheet's typical cycles; they are charges,
// not measurements. Subnormals and NaN follow IEEE here, where the ROM flushes the one and has no use for the other.

const floats = new Float32Array(1);
const floatBits = new Uint32Array(floats.buffer);
const doubles = new Float64Array(1);
const doubleBits = new Uint32Array(doubles.buffer);

function toFloat(bits) {
  floatBits[0] = bits;
  return floats[0];
}

function fromFloat(value) {
  floats[0] = value;
  return floatBits[0];
}

function toDouble(low, high) {
  doubleBits[0] = low;
  doubleBits[1] = high;
  return doubles[0];
}

function clamp(value, low, high) {
  if (Number.isNaN(value)) return 0;
  return Math.min(Math.max(Math.floor(value), low), high);
}

function clamp64(value, low, high) {
  if (Number.isNaN(value)) return 0n;
  if (!Number.isFinite(value)) return value > 0 ? high : low;
  const whole = BigInt(Math.floor(value));
  return whole < low ? low : whole > high ? high : whole;
}

const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;
const UINT64_MAX = (1n << 64n) - 1n;

/** The arithmetic that both precisions share; `io` reads operands and stores results, `cost` gives cycles. */
function table(core, io, cost) {
  const r = core.registers;
  const one = (compute, cycles) => () => {
    io.store(compute(io.first()));
    return cycles;
  };
  const two = (compute, cycles) => () => {
    io.store(compute(io.first(), io.second()));
    return cycles;
  };
  const compare = () => {
    const [a, b] = [io.first(), io.second()];
    r[0] = a < b ? -1 : a > b ? 1 : 0;
    return cost.compare;
  };
  const compareFlags = () => {
    const [a, b] = [io.first(), io.second()];
    core.Z = a === b;
    core.N = a < b;
    core.C = a >= b;
    core.V = false;
    return cost.compare;
  };
  const toInteger = (low, high, shifted) => () => {
    const scale = shifted ? 2 ** (r[io.words] | 0) : 1;
    r[0] = clamp(io.first() * scale, low, high);
    return cost.convert;
  };
  const toInteger64 = (low, high, shifted) => () => {
    const scale = shifted ? 2 ** (r[io.words] | 0) : 1;
    const bits = BigInt.asUintN(64, clamp64(io.first() * scale, low, high));
    r[0] = Number(bits & 0xffffffffn);
    r[1] = Number(bits >> 32n);
    return cost.convert;
  };
  const fromInteger = (signed, shifted) => () => {
    io.store((signed ? r[0] | 0 : r[0]) / (shifted ? 2 ** (r[1] | 0) : 1));
    return cost.convert;
  };
  const fromInteger64 = (signed, shifted) => () => {
    const high = signed ? BigInt(r[1] | 0) : BigInt(r[1]);
    io.store(Number((high << 32n) | BigInt(r[0])) / (shifted ? 2 ** (r[2] | 0) : 1));
    return cost.convert;
  };
  const sineAndCosine = () => {
    const angle = io.first();
    io.store(Math.cos(angle), io.words);
    io.store(Math.sin(angle));
    return 2 * cost.function;
  };
  return [
    two((a, b) => a + b, cost.arithmetic),
    two((a, b) => a - b, cost.arithmetic),
    two((a, b) => a * b, cost.arithmetic),
    two((a, b) => a / b, cost.arithmetic),
    compare,
    compareFlags,
    one(Math.sqrt, cost.arithmetic),
    toInteger(-0x80000000, 0x7fffffff, false),
    toInteger(-0x80000000, 0x7fffffff, true),
    toInteger(0, 0xffffffff, false),
    toInteger(0, 0xffffffff, true),
    fromInteger(true, false),
    fromInteger(true, true),
    fromInteger(false, false),
    fromInteger(false, true),
    one(Math.cos, cost.function),
    one(Math.sin, cost.function),
    one(Math.tan, cost.function),
    sineAndCosine,
    one(Math.exp, cost.function),
    one(Math.log, cost.function),
    compare,
    two(Math.atan2, cost.function),
    fromInteger64(true, false),
    fromInteger64(true, true),
    fromInteger64(false, false),
    fromInteger64(false, true),
    toInteger64(INT64_MIN, INT64_MAX, false),
    toInteger64(INT64_MIN, INT64_MAX, true),
    toInteger64(0n, UINT64_MAX, false),
    toInteger64(0n, UINT64_MAX, true),
    () => {
      io.convert();
      return cost.convert;
    },
  ];
}

/** Handlers of the single-precision table; each works on the core's registers and returns its cycles. */
export function singlePrecision(core) {
  const r = core.registers;
  const io = {
    words: 1,
    first: () => toFloat(r[0]),
    second: () => toFloat(r[1]),
    store: (value, at = 0) => {
      r[at] = fromFloat(value);
    },
    convert: () => {
      doubles[0] = toFloat(r[0]);
      [r[0], r[1]] = doubleBits;
    },
  };
  return table(core, io, { arithmetic: 70, compare: 30, convert: 45, function: 600 });
}

/** Handlers of the double-precision table. */
export function doublePrecision(core) {
  const r = core.registers;
  const io = {
    words: 2,
    first: () => toDouble(r[0], r[1]),
    second: () => toDouble(r[2], r[3]),
    store: (value, at = 0) => {
      doubles[0] = value;
      r[at] = doubleBits[0];
      r[at + 1] = doubleBits[1];
    },
    convert: () => {
      r[0] = fromFloat(toDouble(r[0], r[1]));
    },
  };
  return table(core, io, { arithmetic: 150, compare: 40, convert: 60, function: 1400 });
}
