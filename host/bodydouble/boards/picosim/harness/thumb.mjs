// Thumb instructions as JavaScript: what one does to the registers r0..r14 and the flags n, z, c, v.
//
// n is negative where N is set, z zero where Z is, c 1 or 0, v negative where V is. `t`, `x` and `y` are scratch.
// An access that is not plain RAM or flash is left to the interpreter: the code stops before it (`leave`).

import { FLASH_BASE, RAM_BASE, RAM_BYTES, USB_MEMORY_BASE, USB_PLAIN_BYTES, USB_PLAIN_START } from './registers.mjs';

const RAM_WORDS = RAM_BYTES >> 2;
const RAM_HALVES = RAM_BYTES >> 1;
const FLASH_TOP = FLASH_BASE >>> 24;

const reg = (number) => `r${number}`;
const setNZ = (value) => `n = z = ${value};`;

const CONDITIONS = [
  'z === 0', 'z !== 0', 'c !== 0', 'c === 0', 'n < 0', 'n >= 0', 'v < 0', 'v >= 0',
  'c !== 0 && z !== 0', 'c === 0 || z === 0', '(n ^ v) >= 0', '(n ^ v) < 0',
  'z !== 0 && (n ^ v) >= 0', 'z === 0 || (n ^ v) < 0',
]; // prettier-ignore

function add(d, a, b) {
  return `x = ${a}; y = ${b}; t = (x + y) | 0; c = t >>> 0 < x >>> 0 ? 1 : 0; v = (x ^ t) & (y ^ t); ${setNZ('t')}${
    d === null ? '' : ` ${reg(d)} = t;`
  }`;
}

function subtract(d, a, b) {
  return `x = ${a}; y = ${b}; t = (x - y) | 0; c = x >>> 0 >= y >>> 0 ? 1 : 0; v = (x ^ y) & (x ^ t); ${setNZ('t')}${
    d === null ? '' : ` ${reg(d)} = t;`
  }`;
}

function addWithCarry(d, a, b) {
  return (
    `x = ${a}; y = ${b}; t = (x + y + c) | 0; c = (x >>> 0) + (y >>> 0) + c > 4294967295 ? 1 : 0; ` +
    `v = (x ^ t) & (y ^ t); ${setNZ('t')} ${reg(d)} = t;`
  );
}

const logic = (d, expression) => `${reg(d)} = ${expression}; ${setNZ(reg(d))}`;

/** Shifts by an amount in a register: c changes only where something is shifted. */
const SHIFTS = {
  lsl: 'if (y < 32) { c = (x >>> (32 - y)) & 1; x = x << y; } else { c = y === 32 ? x & 1 : 0; x = 0; }',
  lsr: 'if (y < 32) { c = (x >>> (y - 1)) & 1; x = x >>> y | 0; } else { c = y === 32 ? x >>> 31 : 0; x = 0; }',
  asr: 'if (y < 32) { c = (x >> (y - 1)) & 1; x = x >> y; } else { x = x >> 31; c = x & 1; }',
  ror: 'x = (x >>> (y & 31)) | (x << (32 - (y & 31))); c = x >>> 31;',
};

const shiftByRegister = (kind, d, m) =>
  `x = ${reg(d)}; y = ${reg(m)} & 255; if (y !== 0) { ${SHIFTS[kind]} } ${logic(d, 'x')}`;

function shiftByConstant(kind, d, m, amount) {
  const a = reg(m);
  if (kind === 0) return (amount ? `c = (${a} >>> ${32 - amount}) & 1; ` : '') + logic(d, `${a} << ${amount}`);
  const carry = `c = (${a} >> ${(amount || 32) - 1}) & 1;`;
  if (kind === 1) return `${carry} ${logic(d, amount ? `${a} >>> ${amount} | 0` : '0')}`;
  return `${carry} ${logic(d, `${a} >> ${Math.min(amount || 32, 31)}`)}`;
}

/** The sixteen of the group 010000; tst, cmp and cmn store nothing. */
const ALU = [
  (d, m) => logic(d, `${reg(d)} & ${reg(m)}`),
  (d, m) => logic(d, `${reg(d)} ^ ${reg(m)}`),
  (d, m) => shiftByRegister('lsl', d, m),
  (d, m) => shiftByRegister('lsr', d, m),
  (d, m) => shiftByRegister('asr', d, m),
  (d, m) => addWithCarry(d, reg(d), reg(m)),
  (d, m) => addWithCarry(d, reg(d), `~${reg(m)}`),
  (d, m) => shiftByRegister('ror', d, m),
  (d, m) => setNZ(`${reg(d)} & ${reg(m)}`),
  (d, m) => subtract(d, '0', reg(m)),
  (d, m) => subtract(null, reg(d), reg(m)),
  (d, m) => add(null, reg(d), reg(m)),
  (d, m) => logic(d, `${reg(d)} | ${reg(m)}`),
  (d, m) => logic(d, `Math.imul(${reg(d)}, ${reg(m)})`),
  (d, m) => logic(d, `${reg(d)} & ~${reg(m)}`),
  (d, m) => logic(d, `~${reg(m)}`),
];

/** How the offset x into RAM becomes an index that an unaligned one pushes out of range, and what that indexes. */
const ACCESS = {
  word: { place: '(x >>> 2) | (x << 30)', count: RAM_WORDS, line: 'x >> 2', shift: 2, ram: 'M32', flash: 'F32' },
  half: { place: '(x >>> 1) | (x << 31)', count: RAM_HALVES, line: 'x >> 3', shift: 1, ram: 'M16', flash: 'F16' },
  byte: { place: 'x', count: RAM_BYTES, line: 'x >> 4', shift: 0, ram: 'M8', flash: 'F8' },
};

/** Packets are copied byte by byte to and from the USB controller's memory. */
function usbByte(size, access) {
  if (size !== 'byte') return '';
  return `else if ((t - ${USB_MEMORY_BASE + USB_PLAIN_START}) >>> 0 < ${USB_PLAIN_BYTES}) ${access}; `;
}

function load(d, address, size, leave, signed = '') {
  const { place, count, shift, ram, flash } = ACCESS[size];
  const aligned = shift ? ` && (t & ${(1 << shift) - 1}) === 0` : '';
  return (
    `t = (${address}) | 0; x = (t - ${RAM_BASE}) | 0; ${place === 'x' ? '' : `x = ${place}; `}` +
    `if (x >>> 0 < ${count}) ${reg(d)} = ${ram}${signed}[x]; ` +
    `else if (t >>> 24 === ${FLASH_TOP}${aligned}) ${reg(d)} = ${flash}${signed}[(t & 0xffffff) >> ${shift}]; ` +
    (signed ? '' : usbByte(size, `${reg(d)} = U8[t - ${USB_MEMORY_BASE}]`)) +
    `else { ${leave} }`
  );
}

function store(d, address, size, leave) {
  const { place, count, line, ram } = ACCESS[size];
  return (
    `t = (${address}) | 0; x = (t - ${RAM_BASE}) | 0; ${place === 'x' ? '' : `x = ${place}; `}` +
    `if (x >>> 0 < ${count} && LINES[${line}] === 0) ${ram}[x] = ${reg(d)}; ` +
    usbByte(size, `U8[t - ${USB_MEMORY_BASE}] = ${reg(d)}`) +
    `else { ${leave} }`
  );
}

/** Adjacent words from address `base` on for the variables of `list`; all of them inside RAM, or it is left. */
function several(list, base, kind, leave) {
  const words = list.length;
  const begin = `t = (${base}) | 0; x = (t - ${RAM_BASE}) | 0; x = (x >>> 2) | (x << 30); `;
  const inside = `x >>> 0 < ${RAM_WORDS + 1 - words}`;
  if (kind === 'load') {
    return `${begin}if (${inside}) { ${list.map((r, at) => `${r} = M32[x + ${at}];`).join(' ')} } else { ${leave} }`;
  }
  const lines = new Set([0, words - 1]);
  for (let at = 4; at < words; at += 4) lines.add(at);
  const untouched = [...lines].map((at) => `LINES[(x + ${at}) >> 2]`).join(' | ');
  return (
    `${begin}if (${inside} && (${untouched}) === 0) ` +
    `{ ${list.map((r, at) => `M32[x + ${at}] = ${r};`).join(' ')} } else { ${leave} }`
  );
}

const registersOf = (mask) => [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => mask & (1 << bit)).map(reg);

/**
 * One instruction at `address`, given its halfwords and `literal(address)` -> a JavaScript expression.
 *
 * Returns null for what only the interpreter does, else
 *   cycles  what it takes
 *   size    in bytes
 *   code(leave)  what it does; `leave` is code that stops before it
 *   flow    absent: it goes on; 'goto' with `target`; 'if' with `condition` and `target`; 'jump' to `t`; or
 *           'exchange' with `t`, which may be the end of an exception
 */
export function translate(address, op, op2, literal) {
  const one = (code, cycles = 1) => ({ cycles, size: 2, code: typeof code === 'string' ? () => code : code });
  const d = op & 7;
  const m = (op >> 3) & 7;
  const high = (op >> 8) & 7;
  const imm8 = op & 255;
  switch (op >>> 11) {
    case 0b00000:
    case 0b00001:
    case 0b00010:
      return one(shiftByConstant(op >>> 11, d, m, (op >> 6) & 31));
    case 0b00011: {
      const operand = op & 0x400 ? String((op >> 6) & 7) : reg((op >> 6) & 7);
      return one((op & 0x200 ? subtract : add)(d, reg(m), operand));
    }
    case 0b00100:
      return one(`${reg(high)} = ${imm8}; ${setNZ(String(imm8))}`);
    case 0b00101:
      return one(subtract(null, reg(high), String(imm8)));
    case 0b00110:
      return one(add(high, reg(high), String(imm8)));
    case 0b00111:
      return one(subtract(high, reg(high), String(imm8)));
    case 0b01000:
      return op & 0x400 ? highRegisters(address, op, one) : one(ALU[(op >> 6) & 15](d, m));
    case 0b01001: {
      const value = literal(((address + 4) & ~3) + imm8 * 4);
      return value === null ? null : one(`${reg(high)} = ${value};`, 2);
    }
    case 0b01010:
    case 0b01011:
      return one((leave) => byRegister(op, leave), 2);
    case 0b01100:
      return one((leave) => store(d, `${reg(m)} + ${((op >> 6) & 31) * 4}`, 'word', leave), 2);
    case 0b01101:
      return one((leave) => load(d, `${reg(m)} + ${((op >> 6) & 31) * 4}`, 'word', leave), 2);
    case 0b01110:
      return one((leave) => store(d, `${reg(m)} + ${(op >> 6) & 31}`, 'byte', leave), 2);
    case 0b01111:
      return one((leave) => load(d, `${reg(m)} + ${(op >> 6) & 31}`, 'byte', leave), 2);
    case 0b10000:
      return one((leave) => store(d, `${reg(m)} + ${((op >> 6) & 31) * 2}`, 'half', leave), 2);
    case 0b10001:
      return one((leave) => load(d, `${reg(m)} + ${((op >> 6) & 31) * 2}`, 'half', leave), 2);
    case 0b10010:
      return one((leave) => store(high, `r13 + ${imm8 * 4}`, 'word', leave), 2);
    case 0b10011:
      return one((leave) => load(high, `r13 + ${imm8 * 4}`, 'word', leave), 2);
    case 0b10100:
      return one(`${reg(high)} = ${(((address + 4) & ~3) + imm8 * 4) | 0};`);
    case 0b10101:
      return one(`${reg(high)} = (r13 + ${imm8 * 4}) | 0;`);
    case 0b10110:
    case 0b10111:
      return miscellaneous(op, one);
    case 0b11000: {
      const list = registersOf(imm8);
      if (!list.length || imm8 & (1 << high)) return null;
      const after = ` ${reg(high)} = (${reg(high)} + ${4 * list.length}) | 0;`;
      return one((leave) => several(list, reg(high), 'store', leave) + after, 1 + list.length);
    }
    case 0b11001: {
      const list = registersOf(imm8);
      if (!list.length) return null;
      const after = imm8 & (1 << high) ? '' : ` ${reg(high)} = (t + ${4 * list.length}) | 0;`;
      return one((leave) => several(list, reg(high), 'load', leave) + after, 1 + list.length);
    }
    case 0b11010:
    case 0b11011: {
      const condition = (op >> 8) & 15;
      if (condition > 13) return null;
      const target = address + 4 + ((imm8 << 24) >> 23);
      return { ...one(''), flow: 'if', condition: CONDITIONS[condition], target };
    }
    case 0b11100:
      return { ...one('', 2), flow: 'goto', target: address + 4 + ((op << 21) >> 20) };
    case 0b11110:
      return longBranch(address, op, op2);
    default:
      return null;
  }
}

function byRegister(op, leave) {
  const d = op & 7;
  const address = `${reg((op >> 3) & 7)} + ${reg((op >> 6) & 7)}`;
  switch ((op >> 9) & 7) {
    case 0:
      return store(d, address, 'word', leave);
    case 1:
      return store(d, address, 'half', leave);
    case 2:
      return store(d, address, 'byte', leave);
    case 3:
      return load(d, address, 'byte', leave, 'S');
    case 4:
      return load(d, address, 'word', leave);
    case 5:
      return load(d, address, 'half', leave);
    case 6:
      return load(d, address, 'byte', leave);
    default:
      return load(d, address, 'half', leave, 'S');
  }
}

/** add, cmp, mov, bx and blx on any register. */
function highRegisters(address, op, one) {
  const d = (op & 7) | ((op >> 4) & 8);
  const m = (op >> 3) & 15;
  const value = m === 15 ? String((address + 4) | 0) : reg(m);
  const kind = (op >> 8) & 3;
  if (kind === 3) {
    if (op & 7 || m === 15) return null;
    if (!(op & 0x80)) return { ...one(`t = ${value};`, 2), flow: 'exchange' };
    if (m === 14) return null;
    return { ...one(`t = ${value}; r14 = ${(address + 2) | 1};`, 2), flow: 'jump' };
  }
  if (kind === 1) return d === 15 || m === 15 ? null : one(subtract(null, reg(d), value));
  const result = kind === 0 ? `(${d === 15 ? (address + 4) | 0 : reg(d)} + ${value}) | 0` : value;
  if (d === 15) return { ...one(`t = ${result};`, 2), flow: 'jump' };
  return one(`${reg(d)} = ${d === 13 ? `(${result}) & ~3` : result};`);
}

function miscellaneous(op, one) {
  const d = op & 7;
  const a = reg((op >> 3) & 7);
  switch (op >>> 8) {
    case 0xb0: {
      const amount = (op & 0x7f) * 4;
      return one(`r13 = (r13 ${op & 0x80 ? '-' : '+'} ${amount}) & ~3;`);
    }
    case 0xb2: {
      const extended = [`(${a} << 16) >> 16`, `(${a} << 24) >> 24`, `${a} & 65535`, `${a} & 255`];
      return one(`${reg(d)} = ${extended[(op >> 6) & 3]};`);
    }
    case 0xb4:
    case 0xb5: {
      const list = registersOf(op & 255);
      if (op & 0x100) list.push('r14');
      if (!list.length) return null;
      const bytes = 4 * list.length;
      return one((leave) => `${several(list, `r13 - ${bytes}`, 'store', leave)} r13 = t;`, 1 + list.length);
    }
    case 0xba: {
      const reversed = [
        `(x << 24) | ((x & 65280) << 8) | ((x >>> 8) & 65280) | (x >>> 24)`,
        `((x & 16711935) << 8) | ((x >>> 8) & 16711935)`,
        null,
        `((x << 24) >> 16) | ((x >>> 8) & 255)`,
      ][(op >> 6) & 3];
      return reversed && one(`x = ${a}; ${reg(d)} = ${reversed};`);
    }
    case 0xbc: {
      const list = registersOf(op & 255);
      if (!list.length) return null;
      const after = ` r13 = (t + ${4 * list.length}) | 0;`;
      return one((leave) => several(list, 'r13', 'load', leave) + after, 1 + list.length);
    }
    case 0xbd: {
      const list = [...registersOf(op & 255), 'y'];
      const bytes = 4 * list.length;
      const code = (leave) => `${several(list, 'r13', 'load', leave)} r13 = (t + ${bytes}) | 0; t = y;`;
      return { ...one(code, 3 + list.length), flow: 'exchange' };
    }
    case 0xbf:
      return op === 0xbf00 ? one('') : null;
    default:
      return null;
  }
}

function longBranch(address, op, op2) {
  if (op2 >>> 14 === 3 && op2 & 0x1000) {
    const sign = (op >> 10) & 1;
    const bits = [sign, 1 ^ sign ^ ((op2 >> 13) & 1), 1 ^ sign ^ ((op2 >> 11) & 1)];
    const offset = (-bits[0] << 24) | (bits[1] << 23) | (bits[2] << 22) | ((op & 1023) << 12) | ((op2 & 2047) << 1);
    const code = () => `r14 = ${(address + 4) | 1};`;
    return { cycles: 3, size: 4, code, flow: 'goto', target: address + 4 + offset, call: true };
  }
  const barrier = op === 0xf3bf && [0x8f40, 0x8f50, 0x8f60].includes(op2 & 0xfff0);
  return barrier ? { cycles: 3, size: 4, code: () => '' } : null;
}
