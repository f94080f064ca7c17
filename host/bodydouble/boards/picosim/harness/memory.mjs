// The chip's memory as typed arrays of every width, and which of it compiled code was made from.

import { FLASH_BASE, RAM_BASE, RAM_BYTES, USB_MEMORY_BASE, USB_PLAIN_BYTES, USB_PLAIN_START } from './registers.mjs';

export const LINE_SHIFT = 4; // 16 bytes: a block of MicroPython's heap, which may hold code beside data

const FLASH_TOP = FLASH_BASE >>> 24; // the cached view; the others are rare and take rp2040js's way

/** Views of `chip`'s memory; its own accesses go through them from now on, and writes to compiled code are told. */
export class Memory {
  /** `onCodeWritten(line)` is called before a write to a line of RAM that is marked in `lines`. */
  constructor(chip, onCodeWritten) {
    this.ram8 = chip.sram;
    this.ram16 = new Uint16Array(chip.sram.buffer);
    this.ram16s = new Int16Array(chip.sram.buffer);
    this.ram8s = new Int8Array(chip.sram.buffer);
    this.ram32 = new Int32Array(chip.sram.buffer);
    this.flash8 = chip.flash;
    this.flash8s = new Int8Array(chip.flash.buffer);
    this.flash16 = new Uint16Array(chip.flash.buffer);
    this.flash16s = new Int16Array(chip.flash.buffer);
    this.flash32 = new Int32Array(chip.flash.buffer);
    this.usb8 = chip.usbDPRAM;
    /** One counter per line of RAM: how many pieces of compiled code were made from it. */
    this.lines = new Uint8Array(RAM_BYTES >> LINE_SHIFT);
    this.quicken(chip, onCodeWritten);
  }

  quicken(chip, onCodeWritten) {
    const { ram8, ram16, ram32, flash8, flash16, flash32, lines } = this;
    const [read32, read16, read8] = [chip.readUint32, chip.readUint16, chip.readUint8];
    const [write32, write16, write8] = [chip.writeUint32, chip.writeUint16, chip.writeUint8];
    chip.readUint32 = (address) => {
      const at = (address - RAM_BASE) >>> 0;
      if (at < RAM_BYTES && !(at & 3)) return ram32[at >> 2] >>> 0;
      if (address >>> 24 === FLASH_TOP && !(address & 3)) return flash32[(address & 0xffffff) >> 2] >>> 0;
      return read32.call(chip, address);
    };
    chip.readUint16 = (address) => {
      const at = (address - RAM_BASE) >>> 0;
      if (at < RAM_BYTES && !(at & 1)) return ram16[at >> 1];
      if (address >>> 24 === FLASH_TOP && !(address & 1)) return flash16[(address & 0xffffff) >> 1];
      return read16.call(chip, address);
    };
    chip.readUint8 = (address) => {
      const at = (address - RAM_BASE) >>> 0;
      if (at < RAM_BYTES) return ram8[at];
      if (address >>> 24 === FLASH_TOP) return flash8[address & 0xffffff];
      return read8.call(chip, address);
    };
    const watched = (write, aligned) => (address, value) => {
      const at = (address - RAM_BASE) >>> 0;
      if (at < RAM_BYTES) {
        const last = Math.min(at + aligned.mask, RAM_BYTES - 1); // an unaligned one may span two lines
        if (lines[at >> LINE_SHIFT]) onCodeWritten(at >> LINE_SHIFT);
        if (lines[last >> LINE_SHIFT]) onCodeWritten(last >> LINE_SHIFT);
        if (!(at & aligned.mask)) {
          aligned.array[at >> aligned.shift] = value;
          return;
        }
      }
      write.call(chip, address, value);
    };
    chip.writeUint32 = watched(write32, { array: ram32, mask: 3, shift: 2 });
    chip.writeUint16 = watched(write16, { array: ram16, mask: 1, shift: 1 });
    const writeByte = watched(write8, { array: ram8, mask: 0, shift: 0 });
    chip.writeUint8 = (address, value) => {
      const at = (address - USB_MEMORY_BASE) >>> 0;
      if (at - USB_PLAIN_START >>> 0 < USB_PLAIN_BYTES) chip.usbDPRAM[at] = value;
      else writeByte(address, value);
    };
  }
}
