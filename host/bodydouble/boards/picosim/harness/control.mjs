// Commands on standard input, one JSON object a line; answers and events on standard output.

import fs from 'node:fs';
import readline from 'node:readline';

import { writeUf2 } from './uf2.mjs';

/** Names of resets that a user can cause. */
const RESETS = new Set(['run-pin', 'system', 'watchdog-forced', 'bootsel']);

export class Control {
  constructor({ machine, pins, ports, pacer, usb, flash, info }) {
    Object.assign(this, { machine, pins, ports, pacer, usb, flash, info });
    const lines = readline.createInterface({ input: process.stdin });
    lines.on('line', (line) => this.answer(line));
    // Whoever started this holds the other end: it has ended, however that came.
    lines.on('close', () => process.exit(0));
    process.stdout.on('error', () => process.exit(0));
  }

  tell(message) {
    process.stdout.write(`${JSON.stringify(message)}\n`);
  }

  answer(line) {
    const { id, command, ...options } = JSON.parse(line);
    try {
      const run = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : null;
      if (!run) throw new Error(`there is no command ${command}`);
      this.tell({ id, ok: true, ...run.call(this, options) });
    } catch (error) {
      this.tell({ id, ok: false, error: error.message });
    }
    this.pacer.wake();
  }

  state() {
    const { machine, usb } = this;
    return {
      mode: machine.mode,
      attached: this.ports.attached,
      port: this.ports.path,
      usb: usb.identity,
      led: this.pins.led,
      idle: machine.idle,
      resting: machine.resting,
      reset_cause: machine.cause,
      resets: machine.resets,
      cycles: machine.cycles,
      clock_hz: machine.chip?.clkSys ?? 0,
      emulated_s: machine.nanos / 1e9,
      core1_asked: machine.core1Asked,
      ...this.info,
    };
  }
}

const COMMANDS = {
  state() {
    return this.state();
  },

  reset({ cause = 'run-pin' }) {
    if (!RESETS.has(cause)) throw new Error(`a reset can be ${[...RESETS].join(', ')}, not ${cause}`);
    if (this.machine.mode === 'off') throw new Error('the power is off');
    this.machine.reset(cause);
  },

  power({ on }) {
    if (on && this.machine.mode === 'off') {
      this.pacer.setOrigin();
      this.machine.reset('power-on');
    } else if (!on && this.machine.mode !== 'off') {
      this.machine.powerOff();
    }
  },

  /** Cut the power after this many more steps of erasing (256 bytes) or programming (64 bytes). */
  cut_power({ steps }) {
    this.flash.stepsToPowerCut = steps === null ? Infinity : Math.max(1, steps);
  },

  usb({ connected }) {
    this.usb.setCable(Boolean(connected));
  },

  uf2({ path }) {
    if (this.machine.mode !== 'bootsel') throw new Error('the board is not in BOOTSEL mode');
    const result = writeUf2(this.flash, fs.readFileSync(path));
    if (this.machine.pending) this.machine.reset(this.machine.pending);
    else if (result.complete) this.machine.reset('system');
    return result;
  },

  /** Look at RAM or flash. */
  memory({ address, bytes }) {
    const { chip } = this.machine;
    if (!chip) throw new Error('the power is off');
    const data = Uint8Array.from({ length: bytes }, (_, at) => chip.readUint8(address + at));
    return { data: Buffer.from(data).toString('hex') };
  },

  gpio() {
    return { pins: this.pins.state() };
  },

  gpio_in({ pin, level }) {
    this.pins.drive(pin, level);
  },

  adc({ channel, volts }) {
    this.pins.setVolts(channel, volts);
  },

  stats() {
    const { machine, flash, usb, pacer } = this;
    return {
      cycles: machine.cycles,
      emulated_s: machine.nanos / 1e9,
      idle_s: machine.idleNanos / 1e9,
      busy_wall_s: pacer.busyMs / 1e3,
      flash_erased: flash.erased,
      flash_programmed: flash.programmed,
      usb_sent: usb.sent,
      usb_received: usb.got,
    };
  },
};
