// The flash chip: a file that is written through, erased and programmed in steps that a power cut can separate.

import fs from 'node:fs';

import { FLASH_BYTES } from './registers.mjs';

export const SECTOR_BYTES = 4096;
const PAGE_BYTES = 256;
// W25Q16JV: a sector's erase takes 45 ms, a page's programming 0.4 ms (typical).
const SECTOR_ERASE_NANOS = 45e6;
const PAGE_PROGRAM_NANOS = 0.4e6;
const STEPS_PER_PAGE = 4;

const COMMAND_UNIQUE_ID = 0x4b; // then 4 bytes of no meaning, then the 8 of the id
const COMMAND_JEDEC_ID = 0x9f;
const COMMAND_STATUS_2 = 0x35;
const JEDEC_ID = [0xef, 0x40, 0x15];
const QUAD_ENABLED = 0x02;

/** The content of one flash chip. It outlives the chips of rp2040js, one of which is made at each reset. */
export class Flash {
  /** `fd` is open for reading and writing; `uniqueId` 8 bytes. */
  constructor(fd, uniqueId) {
    this.fd = fd;
    this.uniqueId = uniqueId;
    this.content = new Uint8Array(FLASH_BYTES).fill(0xff);
    const found = fs.readSync(fd, this.content, 0, FLASH_BYTES, 0);
    if (found < FLASH_BYTES) fs.writeSync(fd, this.content, 0, FLASH_BYTES, 0);
    this.programBytes = PAGE_BYTES / STEPS_PER_PAGE;
    this.erased = 0;
    this.programmed = 0;
    this.stepsToPowerCut = Infinity;
    /** Called when a counted power cut falls due; the step that is under way has been done. */
    this.onPowerCut = () => {};
    /** Called with (offset, bytes) after each change, for what is derived from the content. */
    this.onChange = () => {};
    this.mapped = null;
  }

  /** From now on `memory`, the flash of an emulated chip, shows this content. */
  map(memory) {
    memory.set(this.content);
    this.mapped = memory;
  }

  /** Erase the page at `offset`, one of the 16 that a sector's erase consists of. */
  eraseStep(offset) {
    const start = offset % FLASH_BYTES;
    const bytes = PAGE_BYTES - (start % PAGE_BYTES);
    this.content.fill(0xff, start, start + bytes);
    this.erased += bytes;
    this.changed(start, bytes);
    return { bytes, nanos: (SECTOR_ERASE_NANOS * bytes) / SECTOR_BYTES };
  }

  /** Program `data` at `offset`: bits go from 1 to 0 only. */
  programStep(offset, data) {
    const start = offset % FLASH_BYTES;
    for (let at = 0; at < data.length; at++) this.content[start + at] &= data[at];
    this.programmed += data.length;
    this.changed(start, data.length);
    return { bytes: data.length, nanos: (PAGE_PROGRAM_NANOS * data.length) / PAGE_BYTES };
  }

  changed(start, bytes) {
    const part = this.content.subarray(start, start + bytes);
    this.mapped?.set(part, start);
    fs.writeSync(this.fd, part, 0, bytes, start);
    this.onChange(start, bytes);
    if (--this.stepsToPowerCut <= 0) {
      this.stepsToPowerCut = Infinity;
      this.onPowerCut();
    }
  }

  /** What the chip shifts out after the command bytes so far. */
  answer(command, position) {
    if (command === COMMAND_UNIQUE_ID) return position < 5 ? 0xff : (this.uniqueId[position - 5] ?? 0xff);
    if (command === COMMAND_JEDEC_ID) return position < 1 ? 0xff : (JEDEC_ID[position - 1] ?? 0xff);
    if (command === COMMAND_STATUS_2) return QUAD_ENABLED;
    return 0; // status register 1: never busy, since ROM functions return when they are done
  }
}
