// Runs random Thumb code on the interpreter and on the compiler, and compares all that they leave behind.
//
//   node differential.mjs HARNESS LIBRARY FIRST_SEED PROGRAMS
//
// Prints one JSON object: programs, instructions' cycles, compiled pieces, and the first difference, if any.

import { pathToFileURL } from 'node:url';

const [harness, libraryPath, firstSeed, programs] = process.argv.slice(2);
const { Cpu } = await import(pathToFileURL(`${harness}/cpu.mjs`));
const library = await import(pathToFileURL(libraryPath));

console.warn = () => {}; // rp2040js on every access to a register that it lacks

const RAM = 0x20000000;
const CODE = 0x20000400;
const CODE_HALVES = 48;
const DATA = 0x20008000;
const STACK = 0x20004000;
const HANDLER = 0x20000200;
const AMOUNTS = [0, 1, 31, 32, 33, 255]; // of shifts by a register
const SOFT_IRQ = 26; // without hardware behind it: the core clears it on entry

function generator(seed) {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return (((state ^ (state >>> 13)) >>> 0) * below) / 2 ** 32 | 0;
  };
}

/** Halfwords that the interpreter has no meaning for, or that would stop the core for good. */
function unwanted(op) {
  const group = op >>> 8;
  return op >>> 11 >= 0x1d || [0xb8, 0xbe, 0xde].includes(group) || (group === 0xbf && op !== 0xbf00);
}

function instruction(random) {
  const low = () => random(4) + (random(3) ? 0 : 4);
  const pointer = () => 4 + random(2);
  const kinds = [
    () => [random(0x2000)], // shifts, add, subtract
    () => [0x2000 | random(0x2000)], // move, compare, add, subtract a constant
    () => [0x2000 | (low() << 8) | AMOUNTS[random(AMOUNTS.length)]],
    () => [0x4000 | (random(16) << 6) | (random(8) << 3) | low()], // the sixteen
    () => [0x4000 | ((2 + random(6)) << 6) | (random(8) << 3) | low()], // shifts by a register, carries
    () => [0x5000 | (random(8) << 9) | ((random(2) ? 6 : random(8)) << 6) | (pointer() << 3) | low()],
    () => [0x6000 | (random(4) << 11) | (random(32) << 6) | (pointer() << 3) | low()],
    () => [0x8000 | (random(2) << 11) | (random(32) << 6) | (pointer() << 3) | low()],
    () => [0x9000 | (random(2) << 11) | (low() << 8) | random(16)], // on the stack
    () => [0x4800 | (low() << 8) | random(20)], // a literal
    () => [0xa000 | (random(2) << 11) | (low() << 8) | random(64)],
    () => [0xb400 | (random(2) << 11) | random(256)], // push, pop
    () => [0xb000 | random(256)],
    () => [0xb200 | (random(4) << 6) | (random(8) << 3) | low()],
    () => [0xba00 | ([0, 1, 3][random(3)] << 6) | (random(8) << 3) | low()],
    () => [0xc000 | (random(2) << 11) | (pointer() << 8) | random(256)],
    () => [0x4400 | (random(3) << 8) | (random(16) << 3) | low() | (random(4) ? 0 : 0x80)], // high registers
    () => [0xd000 | (random(14) << 8) | ((random(24) - 14) & 255)], // conditional branch
    () => [0xd000 | (random(14) << 8) | ((random(24) - 14) & 255)],
    () => [0xe000 | ((random(24) - 12) & 0x7ff)],
    () => [0xbc00 | (1 << random(8)), 0xbd00 | (1 << random(8))], // pop, and return
    () => [0xdf00], // svc
    () => [[0xb672, 0xb662][random(2)]], // cpsid, cpsie
    () => [0xf3ef, 0x8000 | (low() << 8) | [0, 5, 16][random(3)]], // mrs
    () => [0xf380 | low(), 0x8800 | [0, 16][random(2)]], // msr
    () => [0xf3bf, [0x8f4f, 0x8f5f, 0x8f6f][random(3)]],
    () => [0xf000, 0xf800 | random(20)], // bl
    () => [random(0x10000)],
  ];
  for (;;) {
    const ops = kinds[random(kinds.length)]();
    if (ops.length === 2 || !unwanted(ops[0])) return ops;
  }
}

/** A chip; `compiling` code at its first entry. */
function build(compiling) {
  const chip = new library.RP2040();
  const quiet = () => {};
  chip.logger = { error: quiet, warn: quiet, info: quiet, debug: quiet };
  const machine = { chip, core: chip.core, pending: null, mode: 'running' };
  return { chip, core: chip.core, clock: chip.clock, cpu: new Cpu(machine, compiling, 1), rung: [] };
}

/** Put the program of `seed` over the last one, with registers, memory and alarms of its own. */
function load({ chip, core, clock, cpu, rung }, seed) {
  const random = generator(seed);
  chip.sram.fill(0);
  cpu.ramWritten(0, chip.sram.length);
  cpu.remade.clear(); // or the places of many programs would be given up as overwritten too often
  cpu.heat.fill(0);
  const put = (address, op) => chip.sramView.setUint16(address - RAM, op, true);
  for (let at = 0; at < CODE_HALVES; ) {
    for (const op of instruction(random)) put(CODE + 2 * at++, op);
  }
  put(CODE + 2 * CODE_HALVES + 2, 0xe000 | (-(CODE_HALVES + 4) & 0x7ff)); // and again
  put(HANDLER, 0x3701); // adds r7, #1
  put(HANDLER + 2, 0x4770); // bx lr
  for (let number = 1; number < 48; number++) chip.sramView.setUint32(4 * number, HANDLER | 1, true);
  for (let at = 0; at < 4096; at += 4) chip.sramView.setUint32(DATA - RAM + at, random(2 ** 32 - 1), true);
  for (let at = 0; at < 2048; at += 4) { // returns lead back into the program
    chip.sramView.setUint32(STACK - RAM + at, (CODE + 2 * random(CODE_HALVES)) | 1, true);
  }
  core.VTOR = RAM;
  core.enabledInterrupts = 1 << SOFT_IRQ;
  for (let number = 0; number < 13; number++) core.registers[number] = random(3) ? random(2 ** 32 - 1) : random(8);
  core.registers[4] = DATA + 4 * random(200);
  core.registers[5] = (random(3) ? DATA : CODE) + random(40);
  core.SP = STACK;
  core.LR = CODE | 1;
  core.PC = CODE;
  core.APSR = random(16) << 28;
  core.waiting = core.PM = false;
  core.IPSR = core.currentMode = 0;
  rung.length = 0;
  for (let at = 200 + random(4000); at < 40000; at += 200 + random(9000)) {
    clock.createAlarm(() => {
      rung.push([cpu.cycles, core.PC, core.registers[0], core.xPSR]);
      chip.setInterrupt(SOFT_IRQ, true);
    }).schedule(at);
  }
}

function leftBehind({ core, cpu, clock, rung, chip }) {
  const { N, Z, C, V, PM, IPSR } = core;
  const { nanos } = clock;
  const state = { registers: [...core.registers], N, Z, C, V, PM, IPSR, cycles: core.cycles, nanos, rung };
  let sum = 0;
  for (const word of new Uint32Array(chip.sram.buffer)) sum = (Math.imul(sum, 31) + word) | 0;
  return JSON.stringify({ ...state, charged: cpu.cycles, sum });
}

/** What the ARMv6-M manual says of the instructions that rp2040js gets wrong: result and carry, then overflow. */
function manual(name, d, m, carry) {
  const [a, b, amount] = [BigInt(d), BigInt(m), BigInt(m & 255)];
  const bit = (value, at) => Number((value >> at) & 1n);
  const word = (value) => Number(BigInt.asUintN(32, value));
  if (name === 'adcs' || name === 'sbcs') {
    const other = name === 'adcs' ? b : BigInt.asUintN(32, ~b);
    const sum = a + other + BigInt(carry);
    const signed = BigInt.asIntN(32, a) + BigInt.asIntN(32, other) + BigInt(carry);
    return [word(sum), bit(sum, 32n), signed !== BigInt.asIntN(32, sum)];
  }
  if (!amount) return [d, carry, null];
  const signed = BigInt.asIntN(32, a);
  if (name === 'lsls') return [word(a << amount), bit(a << amount, 32n), null];
  if (name === 'lsrs') return [word(a >> amount), bit(a, amount - 1n), null];
  if (name === 'asrs') return [word(signed >> amount), bit(signed, amount - 1n), null];
  const turned = word((a >> (amount & 31n)) | (a << (32n - (amount & 31n))));
  return [turned, turned >>> 31, null];
}

/** Every such instruction on telling operands, on both; the first that is not as in the manual, or null. */
function againstManual(machines) {
  const operations = { lsls: 2, lsrs: 3, asrs: 4, adcs: 5, sbcs: 6, rors: 7 };
  const operands = [0, 1, 31, 32, 33, 63, 64, 255, 256, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x12345678];
  for (const [name, number] of Object.entries(operations)) {
    for (const { chip, core, cpu, clock } of machines) {
      load({ chip, core, clock, cpu, rung: [] }, 1);
      core.PM = true; // its alarms are not wanted
      chip.sramView.setUint16(CODE - RAM, 0x4000 | (number << 6) | (1 << 3), true);
      chip.sramView.setUint16(CODE - RAM + 2, 0xe7fe, true); // stay here
      for (const d of operands) {
        for (const m of operands) {
          for (const carry of [0, 1]) {
            core.registers.set([d, m]);
            core.PC = CODE;
            core.C = Boolean(carry);
            cpu.run(clock.nanos + 24);
            const [result, carried, overflow] = manual(name, d, m, carry);
            const right =
              core.registers[0] === result && Number(core.C) === carried && (overflow ?? core.V) === core.V &&
              core.Z === !result && core.N === result >= 0x80000000; // prettier-ignore
            if (!right) return { name, d, m, carry, result: core.registers[0], C: core.C, V: core.V };
          }
        }
      }
    }
  }
  return null;
}

const [reference, tested] = [build(false), build(true)];
const result = { programs: 0, cycles: 0, pieces: 0, difference: againstManual([build(false), build(true)]) };
for (let seed = +firstSeed; seed < +firstSeed + +programs && !result.difference; seed++) {
  load(reference, seed);
  load(tested, seed);
  const start = tested.clock.nanos;
  for (let until = 2000; until <= 40000; until += 2000) {
    tested.cpu.run(start + until);
    while (reference.cpu.cycles < tested.cpu.cycles) reference.cpu.run(reference.clock.nanosCounter + 1);
  }
  const [expected, found] = [leftBehind(reference), leftBehind(tested)];
  if (expected !== found) result.difference = { seed, expected, found };
  result.programs++;
}
result.cycles = tested.cpu.cycles;
result.pieces = tested.cpu.compiled;
console.log(JSON.stringify(result));
