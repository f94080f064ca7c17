// Runs the core against the clock: every instruction in its cycles, every alarm at its time.

import { step } from './errata.mjs';

export class Cpu {
  constructor(machine) {
    this.machine = machine;
    this.core = machine.core;
    this.clock = machine.chip.clock;
    this.cycles = 0;
    this.extra = 0;
  }

  /** What the boot ROM did in the instruction that is running took this many cycles. */
  charge(cycles) {
    this.extra += Math.round(cycles);
  }

  ramWritten() {}

  flashWritten() {}

  /** Until the clock reaches `until` (nanoseconds of this chip), the core waits, or the machine is to be reset. */
  run(until) {
    const { core, clock, machine } = this;
    while (clock.nanosCounter < until && !core.waiting && !machine.pending && machine.mode === 'running') {
      let cycles = step(core);
      if (this.extra) {
        cycles += this.extra;
        this.extra = 0;
      }
      this.cycles += cycles;
      clock.nanosCounter += (cycles * 1e9) / machine.chip.clkSys;
      if (clock.nextAlarm !== null && clock.nextAlarm.nanos <= clock.nanosCounter) clock.tick(0);
    }
  }
}
