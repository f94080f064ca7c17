// Holds what programs send back until it arrives at a moment that the emulated clock can name.
//
// On the emulated clock the same bytes must arrive at the same emulated time, however the system cut them up: they
// are gathered while more keep coming, and handed over once the machine rests. One that does not rest gets them a
// little later all the same, so that Ctrl-C works.

const QUIET_MS = 3;
const PATIENCE_MS = 20;

export class InputGate {
  /** `deliver(bytes)` hands over; `isResting()` says whether the machine rests. */
  constructor(deliver, isResting) {
    this.deliver = deliver;
    this.isResting = isResting;
    this.held = [];
    this.timer = null;
    this.since = 0;
  }

  push(bytes) {
    if (!this.held.length) this.since = performance.now();
    this.held.push(bytes);
    this.wait();
  }

  /** Forget what is held: whoever sent it is gone. */
  clear() {
    this.held = [];
    clearTimeout(this.timer);
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), QUIET_MS);
  }

  look() {
    if (!this.isResting() && performance.now() - this.since < PATIENCE_MS) {
      this.wait();
      return;
    }
    const bytes = Buffer.concat(this.held);
    this.held = [];
    this.deliver(bytes);
  }
}
