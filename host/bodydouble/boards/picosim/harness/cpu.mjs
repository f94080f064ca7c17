// Runs the core against the clock: every instruction in its cycles, every alarm at its time.
//
// Code that is entered often is compiled (compiler.mjs); the rest, and all that is more than plain memory and
// registers, is interpreted by rp2040js (errata.mjs).

import { compile } from './compiler.mjs';
import { mend, step, takeExceptions } from './errata.mjs';
import { LINE_SHIFT, Memory } from './memory.mjs';
import { FLASH_BASE, FLASH_BYTES, RAM_BASE, RAM_BYTES } from './registers.mjs';

const HOT = 30; // entries before code is compiled
const NEVER = 255; // in place of a count: not to be compiled
const MOST_REMADE = 20; // times in a row that code at one place is compiled again after a short life
const SHORT_CYCLES = 1e6;
const LONGEST_CYCLES = 12500; // of compiled code between two looks at the clock

const FLASH_PLACES = FLASH_BYTES >> 1;

/** Where the code at `pc` is in the tables; -1: nowhere. */
function placeOf(pc) {
  if (pc >>> 28 === FLASH_BASE >>> 28) return pc - FLASH_BASE < FLASH_BYTES ? (pc - FLASH_BASE) >> 1 : -1;
  const at = pc - RAM_BASE;
  return at >= 0 && at < RAM_BYTES ? FLASH_PLACES + (at >> 1) : -1;
}

export class Cpu {
  constructor(machine, compiling, hot = HOT) {
    this.machine = machine;
    this.core = machine.core;
    mend(this.core);
    this.clock = machine.chip.clock;
    this.compiling = compiling;
    this.hot = hot;
    this.cycles = 0;
    this.extra = 0;
    this.compiled = 0;
    const places = compiling ? FLASH_PLACES + (RAM_BYTES >> 1) : 0;
    this.code = new Array(places).fill(null);
    this.heat = new Uint8Array(places);
    this.remade = new Map();
    this.pieces = new Set(); // of compiled code: place, low, high
    this.memory = compiling ? new Memory(machine.chip, (line) => this.forget(line << LINE_SHIFT, 1)) : null;
  }

  /** What the boot ROM did in the instruction that is running took this many cycles. */
  charge(cycles) {
    this.extra += Math.round(cycles);
  }

  /** RAM from `offset` on was changed by other means than the core's. */
  ramWritten(offset, bytes) {
    if (this.compiling) this.forget(offset, bytes);
  }

  flashWritten(offset, bytes) {
    if (this.compiling) this.drop(FLASH_BASE + offset, FLASH_BASE + offset + bytes);
  }

  /** Drop what was compiled from these bytes of RAM. */
  forget(offset, bytes) {
    const { lines } = this.memory;
    const last = (offset + bytes - 1) >> LINE_SHIFT;
    for (let line = offset >> LINE_SHIFT; line <= last; line++) {
      if (lines[line]) this.drop(RAM_BASE + (line << LINE_SHIFT), RAM_BASE + ((line + 1) << LINE_SHIFT));
    }
  }

  drop(low, high) {
    for (const piece of this.pieces) {
      if (piece.low >= high || piece.high <= low) continue;
      this.pieces.delete(piece);
      this.code[piece.place] = null;
      const short = this.cycles - piece.born < SHORT_CYCLES;
      const times = short ? (this.remade.get(piece.place) ?? 0) + 1 : 0;
      this.remade.set(piece.place, times);
      this.heat[piece.place] = times > MOST_REMADE ? NEVER : 0;
      this.mark(piece, -1);
    }
  }

  mark(piece, change) {
    if (piece.low < RAM_BASE) return;
    const { lines } = this.memory;
    const last = (piece.high - 1 - RAM_BASE) >> LINE_SHIFT;
    for (let line = (piece.low - RAM_BASE) >> LINE_SHIFT; line <= last; line++) lines[line] += change;
  }

  /** The compiled code at `pc`, or null; counts how often it was asked for. */
  find(pc) {
    const place = placeOf(pc);
    if (place < 0) return null;
    const code = this.code[place];
    if (code !== null || this.heat[place] === NEVER) return code;
    return ++this.heat[place] < this.hot ? null : this.make(pc, place);
  }

  make(pc, place) {
    const made = compile(pc, this.core, this.memory);
    this.heat[place] = NEVER;
    if (!made) return null;
    const piece = { place, low: made.low, high: made.high, born: this.cycles };
    this.mark(piece, 1);
    this.pieces.add(piece);
    this.code[place] = made.run;
    this.compiled++;
    return made.run;
  }

  /** Until the clock reaches `until` (nanoseconds of this chip), the core waits, or the machine is to be reset. */
  run(until) {
    const { core, clock, machine } = this;
    while (clock.nanosCounter < until && !core.waiting && !machine.pending && machine.mode === 'running') {
      if (!this.compiling || !this.runCompiled()) this.interpret(until);
    }
  }

  /** Run compiled code as far as it goes before the next alarm; false where there is none here. */
  runCompiled() {
    const { core, clock } = this;
    const r = core.registers;
    takeExceptions(core);
    let code = this.find(r[15]);
    if (code === null) return false;
    const nanosPerCycle = 1e9 / this.machine.chip.clkSys;
    const alarm = clock.nextAlarm;
    const room = alarm === null ? LONGEST_CYCLES : Math.floor((alarm.nanos - clock.nanosCounter) / nanosPerCycle);
    let left = Math.min(room, LONGEST_CYCLES);
    const first = left;
    do {
      const cycles = code(left);
      if (cycles === 0) break;
      left -= cycles;
      if (core.interruptsUpdated) break; // an exception has ended
      code = this.find(r[15]);
    } while (code !== null);
    const spent = first - left;
    this.pass(spent, nanosPerCycle);
    return spent > 0;
  }

  pass(cycles, nanosPerCycle) {
    const { clock } = this;
    this.cycles += cycles;
    this.core.cycles += cycles;
    clock.nanosCounter += cycles * nanosPerCycle;
    if (clock.nextAlarm !== null && clock.nextAlarm.nanos <= clock.nanosCounter) clock.tick(0);
  }

  /** One instruction after the other until a branch is taken. */
  interpret(until) {
    const { core, clock, machine } = this;
    const r = core.registers;
    let from = 0;
    do {
      from = r[15];
      let cycles = step(core);
      if (this.extra) {
        cycles += this.extra;
        this.extra = 0;
      }
      this.cycles += cycles;
      clock.nanosCounter += (cycles * 1e9) / machine.chip.clkSys;
      if (clock.nextAlarm !== null && clock.nextAlarm.nanos <= clock.nanosCounter) clock.tick(0);
      if (core.waiting || machine.pending !== null || machine.mode !== 'running') return;
    } while (r[15] > from && r[15] - from <= 4 && clock.nanosCounter < until);
  }
}
