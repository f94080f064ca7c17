// Peripherals that rp2040js lacks or answers too simply: the flash's serial interface, its pins, reset causes, ROSC.

const FIFO_BYTES = 16;

/** Registers that keep what is written to them; the base of the others. */
class Registers {
  constructor() {
    this.values = new Uint32Array(0x1000 / 4);
  }

  readUint32(offset) {
    return this.values[(offset & 0xfff) >> 2];
  }

  writeUint32(offset, value) {
    this.values[(offset & 0xfff) >> 2] = value;
  }

  /** Datasheet 2.1.2: the aliases that set, clear or toggle bits. */
  writeUint32Atomic(offset, value, kind) {
    if (kind === 0) this.writeUint32(offset, value);
    else if (kind === 1) this.writeUint32(offset, this.readUint32(offset) ^ value);
    else if (kind === 2) this.writeUint32(offset, this.readUint32(offset) | value);
    else this.writeUint32(offset, this.readUint32(offset) & ~value);
  }
}

const SSIENR = 0x08;
const SR = 0x28;
const IDR = 0x58;
const VERSION_ID = 0x5c;
const DR0 = 0x60;
const SR_TFNF = 1 << 1; // room to send
const SR_TFE = 1 << 2; // all sent
const SR_RFNE = 1 << 3; // something received

/** 4.10: the synchronous serial interface with the flash chip at its other end. */
export class Ssi extends Registers {
  constructor(flash) {
    super();
    this.flash = flash;
    this.received = [];
    this.selected = false; // the firmware holds the chip select low
    this.endCommand();
  }

  endCommand() {
    this.command = null;
    this.position = 0;
  }

  /** The chip select as the firmware forces it: true low, false high or left to the interface. */
  select(low) {
    this.selected = low;
    this.endCommand();
  }

  readUint32(offset) {
    if (offset === SR) return SR_TFE | SR_TFNF | (this.received.length ? SR_RFNE : 0);
    if (offset === IDR) return 0x51535049;
    if (offset === VERSION_ID) return 0x3430312a;
    if (offset !== DR0) return super.readUint32(offset);
    const byte = this.received.shift() ?? 0;
    if (!this.received.length && !this.selected) this.endCommand();
    return byte;
  }

  writeUint32(offset, value) {
    if (offset === DR0) {
      this.command ??= value & 0xff;
      if (this.received.length < FIFO_BYTES) this.received.push(this.flash.answer(this.command, this.position));
      this.position++;
    } else {
      if (offset === SSIENR) {
        this.received = [];
        this.endCommand();
      }
      super.writeUint32(offset, value);
    }
  }
}

const SS_CTRL = 0x0c;
const OUTOVER_SHIFT = 8;
const OUTOVER_LOW = 2;

/** 2.19.6.2: the flash's pins; only the override of its chip select matters. */
export class QspiPins extends Registers {
  constructor(ssi) {
    super();
    this.ssi = ssi;
  }

  writeUint32(offset, value) {
    super.writeUint32(offset, value);
    if ((offset & 0xfff) === SS_CTRL) this.ssi.select(((value >>> OUTOVER_SHIFT) & 3) === OUTOVER_LOW);
  }
}

const CHIP_RESET = 0x08;
const HAD_POR = 1 << 8;
const HAD_RUN = 1 << 16;

/** 2.12.8: which of the chip's own resets came last; a watchdog's is told by the watchdog. */
export class ChipReset extends Registers {
  constructor(cause) {
    super();
    this.had = cause === 'run-pin' ? HAD_RUN : HAD_POR;
  }

  readUint32(offset) {
    return offset === CHIP_RESET ? this.had : super.readUint32(offset);
  }
}

const ROSC_STATUS = 0x18;
const ROSC_RANDOMBIT = 0x1c;
const ROSC_STABLE = (1 << 31) | (1 << 12);

/** 2.17: the ring oscillator; its random bit comes from a small generator, so that runs can be repeated. */
export class RingOscillator extends Registers {
  constructor(seed) {
    super();
    this.state = seed >>> 0 || 1;
  }

  readUint32(offset) {
    if (offset === ROSC_STATUS) return ROSC_STABLE;
    if (offset !== ROSC_RANDOMBIT) return super.readUint32(offset);
    this.state ^= this.state << 13; // xorshift32
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state & 1;
  }
}

const WRAP_MICROS = 2 ** 32;

/** 4.6: alarms of the timer ring when it reaches their time; rp2040js lets them ring up to a microsecond early. */
export function ringOnTime(timer) {
  for (const alarm of timer.alarms) {
    const { clockAlarm } = alarm;
    const schedule = clockAlarm.schedule.bind(clockAlarm);
    clockAlarm.schedule = () => {
      const ahead = (alarm.targetMicros >>> 0) - ((timer.clock.nanos / 1000) % WRAP_MICROS);
      // Within the microsecond that has begun: now.
      schedule(1000 * (ahead > -1 ? Math.max(ahead, 0) : ahead + WRAP_MICROS));
    };
  }
}
