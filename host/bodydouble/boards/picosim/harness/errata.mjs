// Instructions that rp2040js 1.4.1 gets wrong, done as the ARMv6-M manual and the Cortex-M0+ TRM say.
//
// Flags: ADCS and SBCS lose V where the operand and the carry together pass 2^31; shifts by a register set C for an
// amount of zero, where it must stay, and LSLS also for one above 32. Cycles: PUSH and POP do not count LR and PC.
// SEV does not set the event that WFE waits for. An exception's handler starts at an odd address. WFI with interrupts
// masked enters the handler of what wakes it, and SysTick wakes nothing.

const LSLS = 0x4080; // register forms of the group 010000
const LSRS = 0x40c0;
const ASRS = 0x4100;
const ADCS = 0x4140;
const SBCS = 0x4180;
const RORS = 0x41c0;
const PUSH_LR = 0xb500;
const POP_PC = 0xbd00;
const SEV = 0xbf40;

/** a + b + carry, with flags. */
function addWithCarry(core, a, b, carry) {
  const result = (a + b + carry) | 0;
  core.N = result < 0;
  core.Z = result === 0;
  core.C = (a >>> 0) + (b >>> 0) + carry > 0xffffffff;
  core.V = ((a ^ result) & (b ^ result)) < 0;
  return result;
}

function shift(core, value, amount, shifted, lastBit) {
  const result = amount ? shifted() : value;
  core.N = (result | 0) < 0;
  core.Z = (result | 0) === 0;
  if (amount) core.C = Boolean(lastBit() & 1);
  return result;
}

const whole = {
  [ADCS]: (core, d, m) => addWithCarry(core, d, m, core.C ? 1 : 0),
  [SBCS]: (core, d, m) => addWithCarry(core, d, ~m, core.C ? 1 : 0),
  [LSLS]: (core, d, m) =>
    shift(
      core,
      d,
      m & 255,
      () => ((m & 255) < 32 ? d << (m & 255) : 0),
      () => ((m & 255) <= 32 ? d >>> (32 - (m & 255)) : 0),
    ),
  [LSRS]: (core, d, m) =>
    shift(
      core,
      d,
      m & 255,
      () => ((m & 255) < 32 ? d >>> (m & 255) : 0),
      () => ((m & 255) <= 32 ? d >>> ((m & 255) - 1) : 0),
    ),
  [ASRS]: (core, d, m) =>
    shift(
      core,
      d,
      m & 255,
      () => (d | 0) >> Math.min(m & 255, 31),
      () => (d | 0) >> Math.min((m & 255) - 1, 31),
    ),
  [RORS]: (core, d, m) =>
    shift(
      core,
      d,
      m & 255,
      () => (d >>> (m & 31)) | (d << (32 - (m & 31))),
      () => d >>> ((m - 1) & 31),
    ),
};

/** Start handlers at even addresses; let a masked interrupt end WFI without being entered. (ARMv6-M, B1.5) */
export function mend(core) {
  const enter = core.exceptionEntry.bind(core);
  core.exceptionEntry = (number) => {
    enter(number);
    core.PC &= ~1;
  };
  const check = core.checkForInterrupts.bind(core);
  core.checkForInterrupts = () => {
    if (!core.waiting || !core.PM) return check();
    return Boolean(core.pendingInterrupts & core.enabledInterrupts) || core.pendingSystick || core.pendingPendSV;
  };
}

/** An alarm has rung: see whether it made pending what wakes the core. */
export function wake(core) {
  if (core.waiting && core.interruptsUpdated && core.checkForInterrupts()) core.waiting = false;
}

/** Enter the handler of what is pending, if it may interrupt what runs. */
export function takeExceptions(core) {
  while (core.interruptsUpdated && core.checkForInterrupts()) {
    core.waiting = false;
  }
}

/** One instruction, as `core.executeInstruction()`, which does all that is not named above; returns its cycles. */
export function step(core) {
  takeExceptions(core);
  const op = core.readUint16(core.PC);
  const compute = op >>> 10 === 0x10 ? whole[op & 0xffc0] : undefined;
  if (compute) {
    const r = core.registers;
    const d = op & 7;
    r[15] += 2;
    r[d] = compute(core, r[d], r[(op >> 3) & 7]);
    core.cycles++;
    return 1;
  }
  const cycles = core.executeInstruction();
  if ((op & 0xff00) === PUSH_LR || (op & 0xff00) === POP_PC) {
    core.cycles++;
    return cycles + 1;
  }
  if (op === SEV) core.eventRegistered = true;
  return cycles;
}
