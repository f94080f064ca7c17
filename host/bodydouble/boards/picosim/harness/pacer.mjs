// The main loop: when the machine runs, and when the process sleeps.
//
// `wall`: emulated time never passes the wall clock, and catches up with it whenever the firmware is idle.
// `emulated`: it runs as fast as it can and jumps over idle spans, so that nothing depends on the computer's speed.

import { wake } from './errata.mjs';

const SLICE_MS = 2; // between two looks at the ports
const CHUNK_NANOS = 100e3; // between two looks at the wall clock
const AHEAD_NANOS = 1e6; // that a timer of the event loop can be late

export class Pacer {
  /** `beforeSleep` is called whenever the loop gives the event loop a turn. */
  constructor(machine, clock, beforeSleep) {
    this.machine = machine;
    this.emulated = clock === 'emulated';
    this.beforeSleep = beforeSleep;
    this.timer = null;
    this.immediate = null;
    this.busyMs = 0;
    this.setOrigin();
  }

  /** The wall clock counts from now: after a start, or after power was off. */
  setOrigin() {
    this.origin = process.hrtime.bigint();
    this.originNanos = this.machine.nanos;
  }

  wallNanos() {
    return Number(process.hrtime.bigint() - this.origin) + this.originNanos;
  }

  /** Something happened: run at once, not when the timer says. */
  wake() {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.immediate ??= setImmediate(() => this.turn());
  }

  turn() {
    this.immediate = null;
    const start = performance.now();
    let sleepMs = 0;
    do sleepMs = this.emulated ? this.runFree() : this.runPaced();
    while (sleepMs === 0 && performance.now() - start < SLICE_MS);
    this.busyMs += performance.now() - start;
    this.beforeSleep();
    if (this.immediate !== null) return; // woken meanwhile
    if (sleepMs === 0) this.immediate = setImmediate(() => this.turn());
    else if (sleepMs < Infinity) this.timer = setTimeout(() => this.wake(), sleepMs);
  }

  /** Both return for how long to sleep, in milliseconds; 0: run on. */
  runFree() {
    const { machine } = this;
    if (machine.mode === 'off') return Infinity;
    const { clock } = machine.chip;
    if (!machine.idle) machine.run(clock.nanosCounter + CHUNK_NANOS);
    else if (!this.jump(clock, Infinity)) return Infinity;
    return 0;
  }

  runPaced() {
    const { machine } = this;
    if (machine.mode === 'off') return Infinity;
    const { clock } = machine.chip;
    const now = this.wallNanos() - machine.earlierNanos; // in this chip's time
    if (!machine.idle) {
      const ahead = clock.nanosCounter - now;
      if (ahead > AHEAD_NANOS) return ahead / 1e6;
      machine.run(clock.nanosCounter + CHUNK_NANOS);
      return 0;
    }
    if (this.jump(clock, now)) return 0;
    return clock.nextAlarm ? Math.max((clock.nextAlarm.nanos - now) / 1e6, 1) : Infinity;
  }

  /** Let idle time pass up to `now`, at most to the next alarm, which then rings; true if one did. */
  jump(clock, now) {
    const alarm = clock.nextAlarm;
    const to = alarm && alarm.nanos <= now ? alarm.nanos : now;
    if (to > clock.nanosCounter && to < Infinity) {
      this.machine.idleNanos += to - clock.nanosCounter;
      clock.nanosCounter = to;
    }
    if (!alarm || alarm.nanos > now) return false;
    clock.tick(0);
    wake(this.machine.core);
    if (this.machine.pending) this.machine.reset(this.machine.pending); // the watchdog's
    return true;
  }
}
