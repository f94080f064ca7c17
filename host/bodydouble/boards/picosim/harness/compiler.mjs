// Compiles Thumb code to JavaScript functions: from an entry on, all blocks that plain branches reach.
//
// A function runs until code leaves it, an access is not plain memory, or the next alarm might fall due in a block;
// it stops only between instructions, and never later than the interpreter would let the alarm ring.

import { translate } from './thumb.mjs';
import { FLASH_BASE, RAM_BASE, RAM_BYTES } from './registers.mjs';

const MOST_INSTRUCTIONS = 200;
const REACH_BYTES = 2048; // of branches that are followed

/** Read-only view of code: halfwords, and literals as JavaScript. Both null where there is no memory. */
class Source {
  constructor(memory) {
    this.memory = memory;
    this.low = Infinity;
    this.high = 0;
  }

  seen(address, bytes) {
    this.low = Math.min(this.low, address);
    this.high = Math.max(this.high, address + bytes);
  }

  half(address) {
    const at = address - RAM_BASE;
    if (at >= 0 && at < RAM_BYTES) return this.memory.ram16[at >> 1];
    return address >>> 24 === FLASH_BASE >>> 24 ? this.memory.flash16[(address & 0xffffff) >> 1] : null;
  }

  literal(address) {
    const at = address - RAM_BASE;
    if (at >= 0 && at + 4 <= RAM_BYTES) return `M32[${at >> 2}]`;
    if (address >>> 24 !== FLASH_BASE >>> 24) return null;
    this.seen(address, 4);
    return String(this.memory.flash32[(address & 0xffffff) >> 2]);
  }
}

/** Follow the code from `entry`: instructions by address, and where blocks begin. */
function explore(entry, source) {
  const instructions = new Map();
  const leaders = new Set([entry]);
  const open = [entry];
  while (open.length) {
    let address = open.pop();
    while (!instructions.has(address) && instructions.size < MOST_INSTRUCTIONS) {
      const [op, op2] = [source.half(address), source.half(address + 2)];
      const found = op === null ? null : translate(address, op, op2 ?? 0, (at) => source.literal(at));
      if (!found) break;
      source.seen(address, found.size);
      instructions.set(address, found);
      const near = Math.abs(found.target - entry) < REACH_BYTES && !found.call;
      if (found.flow && near) {
        leaders.add(found.target);
        open.push(found.target);
      }
      if (found.flow && found.flow !== 'if') break;
      address += found.size;
      if (found.flow) leaders.add(address);
    }
  }
  return { instructions, leaders };
}

/** Runs of instructions that are entered at their first and left at their last only. */
function blocksOf({ instructions, leaders }) {
  const blocks = [];
  for (const start of [...leaders].filter((address) => instructions.has(address)).sort((a, b) => a - b)) {
    const block = { start, list: [], cycles: 0, next: start };
    for (let found; (found = instructions.get(block.next)); ) {
      block.list.push({ address: block.next, before: block.cycles, ...found });
      block.cycles += found.cycles;
      block.next += found.size;
      if (found.flow || leaders.has(block.next)) break;
    }
    blocks.push(block);
  }
  return blocks;
}

const stop = (address, cycles) => `${cycles ? `q += ${cycles}; ` : ''}p = ${address}; break run;`;

function blockCode(block, number, places) {
  const last = block.list.at(-1);
  const loops = last.target === block.start && !last.call;
  const most = block.cycles + (last.flow === 'if' ? 1 : 0);
  const lines = [`case ${number}:`];
  if (loops) lines.push('for (;;) {');
  lines.push(`if (q + ${most} > limit) { ${stop(block.start, 0)} }`);
  for (const found of block.list) lines.push(found.code(stop(found.address, found.before)));
  const go = (target) => {
    if (loops && target === block.start) return 'continue;';
    const place = places.get(target);
    return place === undefined ? stop(target, 0) : `b = ${place}; continue run;`;
  };
  if (block.cycles) lines.push(`q += ${block.cycles};`);
  if (last.flow === 'if') lines.push(`if (${last.condition}) { q++; ${go(last.target)} }`);
  if (last.flow === 'goto') lines.push(last.call ? stop(last.target, 0) : go(last.target));
  else if (last.flow === 'jump') lines.push('p = t & ~1; break run;');
  else if (last.flow === 'exchange') lines.push('p = t; e = 1; break run;');
  else lines.push(go(block.next));
  if (loops) lines.push('}');
  return lines.join('\n');
}

/**
 * The function of the code at `entry`, or null where its first instruction is the interpreter's.
 *
 * It takes the cycles that may pass at most and returns those that did: 0 where not even a block fits, or its first
 * access is not plain memory. `low` and `high` bound the addresses that it was made from.
 */
export function compile(entry, core, memory) {
  const source = new Source(memory);
  const blocks = blocksOf(explore(entry, source));
  if (!blocks.length || !blocks.some((block) => block.start === entry)) return null;
  const places = new Map(blocks.map((block, index) => [block.start, index]));
  const body = blocks.map((block, index) => blockCode(block, index, places)).join('\n');
  const used = Array.from({ length: 15 }, (_, number) => number).filter((number) => body.includes(`r${number}`));
  const code = `
    return (limit) => {
      ${used.map((number) => `let r${number} = R[${number}] | 0;`).join(' ')}
      let n = core.N ? -1 : 0, z = core.Z ? 0 : 1, c = core.C ? 1 : 0, v = core.V ? -1 : 0;
      let t = 0, x = 0, y = 0, q = 0, p = 0, e = 0, b = ${places.get(entry)};
      run: for (;;) switch (b) {
        ${body}
      }
      ${used.map((number) => `R[${number}] = r${number};`).join(' ')}
      core.N = n < 0; core.Z = z === 0; core.C = c !== 0; core.V = v < 0;
      if (e === 0) R[15] = p; else core.BXWritePC(p >>> 0);
      return q;
    };`;
  const names = ['core', 'R', 'M8', 'M8S', 'M16', 'M16S', 'M32', 'F8', 'F8S', 'F16', 'F16S', 'F32', 'U8', 'LINES'];
  const { ram8, ram8s, ram16, ram16s, ram32, flash8, flash8s, flash16, flash16s, flash32, usb8, lines } = memory;
  const run = new Function(...names, code)(
    core, core.registers, ram8, ram8s, ram16, ram16s, ram32, flash8, flash8s, flash16, flash16s, flash32, usb8, lines,
  ); // prettier-ignore
  return { run, low: source.low, high: source.high };
}
