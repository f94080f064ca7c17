// What is connected to the board's pins: levels driven from outside, pull resistors, voltages at the ADC.

import { LED_PIN, PIN_COUNT } from './registers.mjs';

const PULLED_UP = 3; // GPIOPinState of rp2040js
const DRIVEN_LOW = 0;
const DRIVEN_HIGH = 1;
const ADC_MAX = 4095;
const REFERENCE_VOLTS = 3.3;
// Channel 3 sees a third of the 5 V of the USB supply; channel 4 the temperature sensor, 0.706 V at 27 degrees.
const VOLTS = [0, 0, 0, 5 / 3, 0.706];

/** Outlives resets: what a user connected stays connected. */
export class Pins {
  constructor() {
    this.driven = new Array(PIN_COUNT).fill(null);
    this.volts = [...VOLTS];
    this.chip = null;
  }

  attach(chip) {
    this.chip = chip;
    for (const pin of chip.gpio) {
      pin.addListener(() => this.settle(pin));
      this.settle(pin);
    }
    this.volts.forEach((_, channel) => this.sample(channel));
  }

  /** A pin reads what it drives, else what drives it, else its pull resistor. */
  settle(pin) {
    const state = pin.value;
    let level = this.driven[pin.index] ?? (state === PULLED_UP ? 1 : 0);
    if (state === DRIVEN_LOW || state === DRIVEN_HIGH) level = state;
    if (pin.rawInputValue !== Boolean(level)) pin.setInputValue(Boolean(level));
  }

  /** Drive pin `number` to 0 or 1 from outside, or let go of it: null. */
  drive(number, level) {
    if (!(number >= 0 && number < PIN_COUNT)) throw new Error(`there is no pin ${number}`);
    this.driven[number] = level === null ? null : level ? 1 : 0;
    if (this.chip) this.settle(this.chip.gpio[number]);
  }

  /** Put `volts` on an ADC channel (0 to 2 are pins 26 to 28, 3 a third of the supply, 4 the temperature sensor). */
  setVolts(channel, volts) {
    if (!(channel >= 0 && channel < VOLTS.length)) throw new Error(`there is no ADC channel ${channel}`);
    this.volts[channel] = Number(volts);
    if (this.chip) this.sample(channel);
  }

  sample(channel) {
    const value = Math.round((this.volts[channel] / REFERENCE_VOLTS) * ADC_MAX);
    this.chip.adc.channelValues[channel] = Math.min(Math.max(value, 0), ADC_MAX);
  }

  /** One entry per pin: whether the board drives it, and the level on it. */
  state() {
    const pins = this.chip?.gpio ?? [];
    return pins.map((pin) => ({ out: pin.outputEnable, level: Number(pin.rawInputValue) }));
  }

  get led() {
    const pin = this.chip?.gpio[LED_PIN];
    return Boolean(pin && pin.outputEnable && pin.outputValue);
  }
}
