// BOOTSEL's drive: takes a UF2 file as the boot ROM does. (datasheet 2.8.4.2; microsoft/uf2)

import { FLASH_BASE, FLASH_BYTES } from './registers.mjs';
import { SECTOR_BYTES } from './flash.mjs';

const BLOCK_BYTES = 512;
const MAGICS = [0x0a324655, 0x9e5d5157];
const MAGIC_END = 0x0ab16f30;
const NOT_MAIN_FLASH = 0x01;
const HAS_FAMILY = 0x2000;
export const RP2040_FAMILY = 0xe48bff56;
const PAYLOAD_BYTES = 256;

function parseBlock(bytes, at) {
  const word = (offset) => bytes.readUInt32LE(at + offset);
  if (word(0) !== MAGICS[0] || word(4) !== MAGICS[1] || word(508) !== MAGIC_END) return null;
  const flags = word(8);
  if (flags & NOT_MAIN_FLASH || !(flags & HAS_FAMILY) || word(28) !== RP2040_FAMILY) return null;
  const offset = word(12) - FLASH_BASE;
  if (word(16) !== PAYLOAD_BYTES || offset < 0 || offset >= FLASH_BYTES || offset % PAYLOAD_BYTES) return null;
  return { offset, number: word(20), total: word(24), data: bytes.subarray(at + 32, at + 32 + PAYLOAD_BYTES) };
}

/**
 * Write the blocks of `bytes` that are for this chip. Returns how many were taken and left, and whether the file was
 * complete: only then the chip leaves BOOTSEL.
 */
export function writeUf2(flash, bytes) {
  const taken = new Set();
  const sectors = new Set();
  let total = 0;
  let ignored = 0;
  for (let at = 0; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
    const block = parseBlock(bytes, at);
    if (!block || (total && block.total !== total)) {
      ignored++;
      continue;
    }
    total = block.total;
    const sector = block.offset - (block.offset % SECTOR_BYTES);
    if (!sectors.has(sector)) {
      for (let done = 0; done < SECTOR_BYTES; ) done += flash.eraseStep(sector + done).bytes;
      sectors.add(sector);
    }
    flash.programStep(block.offset, block.data);
    taken.add(block.number);
  }
  return { taken: taken.size, ignored, complete: total > 0 && taken.size === total };
}
