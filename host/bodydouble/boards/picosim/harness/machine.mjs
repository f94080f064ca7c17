// One emulated Pico through all its resets: what is lost, what is kept, and what the boot ROM starts.

import { installBootRom } from './bootrom.mjs';
import { standInForCore1 } from './core1.mjs';
import { Cpu } from './cpu.mjs';
import { ChipReset, QspiPins, RingOscillator, Ssi, ringOnTime } from './peripherals.mjs';
import {
  AIRCR,
  AIRCR_KEY,
  AIRCR_SYSRESETREQ,
  BOOT_MAGIC,
  CHIP_RESET,
  FLASH_BASE,
  IO_QSPI,
  RAM_BASE,
  ROSC,
  SSI,
  TIMER,
  WATCHDOG,
} from './registers.mjs';

const BOOT2_BYTES = 252; // and its checksum behind it (datasheet 2.8.1.3.1)
const VECTORS = FLASH_BASE + 0x100;
const NO_PIN_INPUT = 0x40; // pad control: input enable

/** CRC-32 of the second boot stage: polynomial 04C11DB7, not reflected, starting with ones. */
export function bootChecksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}

/** Keeps rp2040js's complaints from flooding the log: a firmware may repeat one a million times a second. */
class Log {
  constructor(write) {
    this.write = write;
    this.left = 50;
  }

  error(source, message) {
    if (this.left > 0) this.write(`${source}: ${message}`);
    if (this.left-- === 0) this.write('further complaints of the emulator are left out');
  }

  warn() {}

  info() {}

  debug() {}
}

/** `mode` is off, running, bootsel or halted; `cause` says what the last reset came from. */
export class Machine {
  /** `library` is rp2040js; `log` takes lines for the user. */
  constructor({ library, flash, usb, pins, seed, log, compile = true }) {
    Object.assign(this, { library, flash, usb, pins, seed, log, compile });
    this.mode = 'off';
    this.cause = null;
    this.pending = null;
    this.resets = 0;
    this.earlierNanos = 0; // of emulated time before this chip
    this.earlierCycles = 0;
    this.idleNanos = 0;
    this.core1Asked = false;
    this.chip = null;
    /** Called after every reset, with its cause. */
    this.onReset = () => {};
    flash.onPowerCut = () => this.requestReset('power-cut');
    flash.onChange = (start, bytes) => this.cpu?.flashWritten(start, bytes);
    this.ramWritten = (address, bytes) => this.cpu.ramWritten(address - RAM_BASE, bytes);
  }

  get nanos() {
    return this.earlierNanos + (this.chip ? this.chip.clock.nanos : 0);
  }

  get cycles() {
    return this.earlierCycles + (this.cpu ? this.cpu.cycles : 0);
  }

  cyclesOf(nanos) {
    return Math.round((nanos * this.chip.clkSys) / 1e9);
  }

  /** The answer of the boot ROM that is running is to be called once more. */
  again() {
    this.core.PC -= 2;
  }

  /** Ask for a reset from within an instruction; it happens before the next. */
  requestReset(cause) {
    this.pending ??= cause;
  }

  /** Stop executing until the next reset, as a core in lockup does. */
  halt(reason) {
    this.log(`halted: ${reason}`);
    this.mode = 'halted';
  }

  powerOff() {
    this.retire();
    this.mode = 'off';
    this.chip = this.core = this.cpu = null;
    this.usb.unplugged();
  }

  /** Reset by `cause`: power-on, run-pin, watchdog-timer, watchdog-forced, system, bootsel or power-cut. */
  reset(cause) {
    this.pending = null;
    if (cause === 'power-cut') {
      this.powerOff();
      this.onReset(cause);
      return;
    }
    const old = this.chip;
    const warm = old && cause !== 'power-on';
    this.retire();
    this.build(cause);
    if (warm) {
      this.chip.sram.set(old.sram); // static RAM keeps its content while there is power
      if (cause.startsWith('watchdog')) {
        const [from, to] = [old.peripherals[WATCHDOG], this.chip.peripherals[WATCHDOG]];
        to.scratchData.set(from.scratchData);
        to.reason = from.reason;
      }
    }
    this.cause = cause;
    this.resets++;
    this.boot(cause);
    this.onReset(cause);
  }

  retire() {
    this.earlierNanos = this.nanos;
    this.earlierCycles = this.cycles;
  }

  build(cause) {
    const { library, flash } = this;
    const chip = new library.RP2040();
    this.chip = chip;
    this.core = chip.core;
    chip.logger = new Log(this.log);
    flash.map(chip.flash);
    const ssi = new Ssi(flash);
    chip.peripherals[SSI] = ssi;
    chip.peripherals[IO_QSPI] = new QspiPins(ssi);
    chip.peripherals[CHIP_RESET] = new ChipReset(cause);
    chip.peripherals[ROSC] = new RingOscillator(this.seed + this.resets);
    for (const pin of chip.qspi) {
      pin.padValue |= NO_PIN_INPUT; // pulled up: the BOOTSEL button is not pressed
      pin.rawInputValue = true;
    }
    ringOnTime(chip.peripherals[TIMER]);
    this.watchResets(chip);
    standInForCore1(chip, () => {
      this.core1Asked = true;
      this.log('core 1 was started, which is not emulated: _thread hangs here');
    });
    const answer = installBootRom(this);
    chip.onBreak = (number) => {
      const known = this.core.PC < 0x4000 ? answer(number) : undefined;
      if (known) this.cpu.charge(known());
      else this.halt(`breakpoint ${number} at 0x${(this.core.PC - 2).toString(16)}`);
    };
    this.cpu = new Cpu(this, this.compile);
    this.pins.attach(chip);
    this.usb.plug(chip);
  }

  watchResets(chip) {
    const watchdog = chip.peripherals[WATCHDOG];
    watchdog.onWatchdogTrigger = () => {
      watchdog.alarm.enable = false; // rp2040js would let it ring again at the same time, for ever
      this.requestReset(watchdog.reason & 2 ? 'watchdog-forced' : 'watchdog-timer');
    };
    const write = chip.ppb.writeUint32.bind(chip.ppb);
    chip.ppb.writeUint32 = (offset, value) => {
      if (offset !== AIRCR) write(offset, value);
      else if (value >>> 16 === AIRCR_KEY && value & AIRCR_SYSRESETREQ) this.requestReset('system');
    };
  }

  boot(cause) {
    const { chip, core } = this;
    const { scratchData } = chip.peripherals[WATCHDOG];
    this.mode = 'running';
    if (cause === 'bootsel') this.mode = 'bootsel';
    else if (cause.startsWith('watchdog') && scratchData[4] === BOOT_MAGIC) {
      const [, key, stack, entry] = scratchData.subarray(4);
      scratchData[4] = 0; // taken once
      if ((key ^ -BOOT_MAGIC) >>> 0 === entry >>> 0) this.enter(stack, entry);
      else this.startFlash();
    } else this.startFlash();
    core.waiting = false;
  }

  startFlash() {
    const head = this.flash.content.subarray(0, BOOT2_BYTES + 4);
    const stored = new DataView(head.buffer, head.byteOffset).getUint32(BOOT2_BYTES, true);
    // The second stage itself only sets up the flash's interface, which needs none here.
    if (bootChecksum(head.subarray(0, BOOT2_BYTES)) !== stored) this.mode = 'bootsel';
    else this.enter(this.chip.readUint32(VECTORS), this.chip.readUint32(VECTORS + 4));
  }

  enter(stack, entry) {
    this.core.VTOR = VECTORS;
    this.core.SP = stack;
    this.core.PC = entry & ~1;
  }

  /** Execute until emulated nanosecond `until` of this chip, or until there is nothing to execute. */
  run(until) {
    if (this.mode === 'running') this.cpu.run(until);
    if (this.pending) this.reset(this.pending);
  }

  get idle() {
    return this.mode !== 'running' || this.core.waiting;
  }

  /** Idle until something from outside happens: no alarm is set. */
  get resting() {
    return this.mode === 'off' || (this.idle && this.chip.clock.nextAlarm === null);
  }
}
