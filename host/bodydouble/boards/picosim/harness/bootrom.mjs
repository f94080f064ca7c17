// A boot ROM of our own: every function is a breakpoint that this file answers, and a return. (datasheet 2.8.3)

import { FLASH_BASE, RAM_BASE, RAM_BYTES, ROM_BYTES } from './registers.mjs';
import { doublePrecision, singlePrecision } from './rom_float.mjs';

const FUNCTION_TABLE = 0x1000; // where the halfwords at 0x14, 0x16 and 0x18 point is up to the ROM
const DATA_TABLE = 0x1100;
const FLOAT_TABLE = 0x1810;
const DOUBLE_TABLE = 0x1910;
const STUBS = 0x200;
const COPYRIGHT = 0x1c00;
const GIT_REVISION = 0x1c80;
const VERSION = 3; // of the ROM of the RP2040 B2

const BKPT = 0xbe00;
const BX_LR = 0x4770;

const SMALL_COST = 10; // a call that does next to nothing
const COPY_CYCLES_PER_BYTE = 1.5 / 4;
const FILL_CYCLES_PER_BYTE = 1 / 4;

const code = (name) => name.charCodeAt(0) | (name.charCodeAt(1) << 8);

function reverseBits(value) {
  let result = 0;
  for (let bit = 0; bit < 32; bit++) result = (result << 1) | ((value >>> bit) & 1);
  return result;
}

function countBits(value) {
  let count = 0;
  for (let rest = value; rest; rest &= rest - 1) count++;
  return count;
}

/** memcpy and memset on whatever the chip's buses reach; whole arrays where it is memory. */
class Memory {
  constructor(chip, wrote) {
    this.chip = chip;
    this.wrote = wrote;
    this.rom = new Uint8Array(chip.bootrom.buffer);
  }

  /** The array and offset that hold `bytes` at `address`, or null for registers. */
  place(address, bytes) {
    const { chip } = this;
    if (address + bytes <= ROM_BYTES) return [this.rom, address];
    if (address >= RAM_BASE && address + bytes <= RAM_BASE + RAM_BYTES) return [chip.sram, address - RAM_BASE];
    if (address >>> 26 === FLASH_BASE >>> 26) return [chip.flash, address & 0xffffff];
    return null;
  }

  read(address, bytes) {
    const found = this.place(address, bytes);
    if (found) return found[0].subarray(found[1], found[1] + bytes);
    return Uint8Array.from({ length: bytes }, (_, at) => this.chip.readUint8(address + at));
  }

  write(address, data) {
    if (address >= RAM_BASE && address + data.length <= RAM_BASE + RAM_BYTES) {
      this.chip.sram.set(data, address - RAM_BASE);
      this.wrote(address, data.length);
    } else data.forEach((byte, at) => this.chip.writeUint8(address + at, byte));
  }

  fill(address, value, bytes) {
    this.write(address, new Uint8Array(bytes).fill(value));
  }
}

/**
 * Write the ROM into `machine.chip` and return what answers its breakpoint number n.
 *
 * An answer returns the cycles it took, and may ask to be called again (`machine.again()`): flash operations pass
 * through here once per step, so that a power cut can fall between two.
 */
export function installBootRom(machine) {
  const { chip, core, flash } = machine;
  const r = core.registers;
  const rom = new DataView(chip.bootrom.buffer);
  const memory = new Memory(chip, machine.ramWritten);
  const answers = [];
  let next = STUBS;

  function stub(answer) {
    const address = next;
    rom.setUint16(address, BKPT | answers.length, true);
    rom.setUint16(address + 2, BX_LR, true);
    answers.push(answer);
    next += 4;
    return address | 1;
  }

  const unary = (compute, cycles) => () => {
    r[0] = compute(r[0]);
    return cycles;
  };
  const fill = () => {
    memory.fill(r[0], r[1] & 0xff, r[2]);
    return SMALL_COST + r[2] * FILL_CYCLES_PER_BYTE;
  };
  const copy = () => {
    memory.write(r[0], memory.read(r[1], r[2]));
    return 2 * SMALL_COST + r[2] * COPY_CYCLES_PER_BYTE;
  };
  // Both keep their progress in their argument registers, as the loop of the real ROM may.
  const erase = () => {
    if (!r[1]) return SMALL_COST;
    const { bytes, nanos } = flash.eraseStep(r[0]);
    r[0] += bytes;
    r[1] = Math.max(0, r[1] - bytes);
    machine.again();
    return machine.cyclesOf(nanos);
  };
  const program = () => {
    if (!r[2]) return SMALL_COST;
    const { bytes, nanos } = flash.programStep(r[0], memory.read(r[1], Math.min(r[2], flash.programBytes)));
    r[0] += bytes;
    r[1] += bytes;
    r[2] -= bytes;
    machine.again();
    return machine.cyclesOf(nanos);
  };
  const nothing = () => SMALL_COST;
  const functions = {
    P3: unary(countBits, 18),
    R3: unary(reverseBits, 20),
    L3: unary(Math.clz32, 12),
    T3: unary((value) => (value ? 31 - Math.clz32(value & -value) : 32), 12),
    MS: fill,
    S4: fill,
    MC: copy,
    C4: copy,
    IF: nothing, // connect the flash chip's pins
    EX: nothing, // leave execute in place
    RE: erase,
    RP: program,
    FC: nothing, // flush the cache, which is not emulated
    CX: nothing, // enter execute in place
    UB: () => {
      machine.requestReset('bootsel');
      return SMALL_COST;
    },
    WV: () => {
      machine.halt('the boot ROM waits for a vector');
      return SMALL_COST;
    },
  };

  const lookup = stub(() => {
    const wanted = r[1] & 0xffff;
    for (let at = r[0]; ; at += 4) {
      const key = rom.getUint16(at, true);
      if (!key || key === wanted) {
        r[0] = key ? rom.getUint16(at + 2, true) : 0;
        return 2 * SMALL_COST;
      }
    }
  });

  let at = FUNCTION_TABLE;
  for (const [name, answer] of Object.entries(functions)) {
    rom.setUint16(at, code(name), true);
    rom.setUint16(at + 2, stub(answer), true);
    at += 4;
  }
  for (const [start, list] of [
    [FLOAT_TABLE, singlePrecision(core)],
    [DOUBLE_TABLE, doublePrecision(core)],
  ]) {
    rom.setUint8(start - 2, list.length); // pico-sdk reads the size there
    list.forEach((answer, index) => rom.setUint32(start + 4 * index, stub(answer), true));
  }
  const data = { SF: FLOAT_TABLE, SD: DOUBLE_TABLE, CR: COPYRIGHT, GR: GIT_REVISION };
  Object.entries(data).forEach(([name, value], index) => {
    rom.setUint16(DATA_TABLE + 4 * index, code(name), true);
    rom.setUint16(DATA_TABLE + 4 * index + 2, value, true);
  });
  rom.setUint32(0, RAM_BASE + 0x41f00, true); // vectors: the stack, and a reset that is never taken
  rom.setUint32(4, STUBS | 1, true);
  [0x4d, 0x75, 0x01, VERSION].forEach((byte, index) => rom.setUint8(0x10 + index, byte)); // "Mu", 1, version
  rom.setUint16(0x14, FUNCTION_TABLE, true);
  rom.setUint16(0x16, DATA_TABLE, true);
  rom.setUint16(0x18, lookup, true);
  return (number) => answers[number];
}
