// The USB cable: moves packets between the device's buffers and the host, each when a full-speed bus would carry it.
//
// rp2040js completes every transfer after 10 us whatever the bus could carry, and answers an idle OUT endpoint with
// empty packets for ever. Here a packet takes its share of a 1 ms frame (19 of 64 bytes fit), and an endpoint that
// the host has nothing for stays armed, as NAKs leave it on a real bus: an idle device sleeps.

const MAX_PACKET = 64;
const PACKETS_PER_FRAME = 19;
const FRAME_NANOS = 1e6;
const OVERHEAD_BYTES = 13; // of a bulk transaction: token, handshake, turnaround (USB 2.0, 5.8.4)
const UNPACED_NANOS = 10e3;

// USB controller of the RP2040 (datasheet 4.1.2.5): buffer control words of endpoint n, IN then OUT, in its memory
const BUFFER_CONTROL = 0x80;
const BUFFER_CONTROL_END = 0x100;
const ENDPOINT_CONTROL = 0x08; // of endpoint 1 IN
const AVAILABLE = 1 << 10;
const STALL = 1 << 11;
const FULL = 1 << 15;
const LENGTH = 0x3ff;
const DOUBLE_BUFFERED = 1 << 30;
const INTERRUPT_PER_PAIR = 1 << 28;
const ENDPOINT_0_BUFFER = 0x100;
const SOF_RD = 0x48; // 4.1.4: the frame's number; reading it ends its interrupt
const INTR_SOF = 1 << 17;
const SIE_PULLUP = 1 << 16;

/** What `UsbHost` talks through. It is made anew with each chip. */
export class UsbBus {
  /**
   * `host` has pullup(on), busReset(), stalled(endpoint), wants(endpoint) -> boolean, received(endpoint, bytes),
   * offer(endpoint, room) -> bytes or null. `paced` false: packets take 10 us whatever their length.
   */
  constructor(chip, host, paced) {
    this.usb = chip.usbCtrl;
    this.view = chip.usbDPRAMView;
    this.memory = chip.usbDPRAM;
    this.clock = chip.clock;
    this.host = host;
    this.paced = paced;
    this.freeAt = 0;
    this.pulledUp = false;
    this.lanes = Array.from({ length: 32 }, (_, index) => ({
      endpoint: index >> 1,
      out: Boolean(index & 1),
      armed: false,
      second: false, // the buffer whose turn it is, of two
      packet: null,
      alarm: this.clock.createAlarm(() => this.complete(this.lanes[index])),
      busy: false,
    }));
    this.usb.DPRAMUpdated = (offset, value) => this.written(offset, value);
    this.usb.onResetReceived = () => host.busReset();
    const control = this.usb.handleSieCtrlWrite.bind(this.usb);
    this.usb.handleSieCtrlWrite = (value) => {
      control(value);
      const up = Boolean(value & SIE_PULLUP);
      if (up !== this.pulledUp) {
        this.pulledUp = up;
        host.pullup(up);
      }
    };
    this.watchFrames();
  }

  /** The start of each frame interrupts a device that asks for it. */
  watchFrames() {
    const { usb } = this;
    const [check, read] = [usb.checkInterrupts.bind(usb), usb.readUint32.bind(usb)];
    let counting = false;
    const frame = this.clock.createAlarm(() => {
      counting = false;
      usb.sofFrameNumber = (usb.sofFrameNumber + 1) & 0x7ff;
      usb.intRaw |= INTR_SOF;
      usb.checkInterrupts();
    });
    usb.checkInterrupts = () => {
      check();
      if (counting || !this.pulledUp || !(usb.intEnable & INTR_SOF)) return;
      counting = true;
      frame.schedule(FRAME_NANOS);
    };
    usb.readUint32 = (offset) => {
      if (offset === SOF_RD) {
        usb.intRaw &= ~INTR_SOF;
        usb.checkInterrupts();
      }
      return read(offset);
    };
  }

  /** Drive the bus into reset; the device answers through host.busReset(). */
  reset() {
    for (const lane of this.lanes) this.disarm(lane);
    this.usb.resetDevice();
  }

  /** Send a SETUP packet to endpoint 0. */
  setup(packet) {
    this.disarm(this.lanes[0]);
    this.disarm(this.lanes[1]);
    this.usb.sendSetupPacket(packet);
  }

  /** The host has something to send, or room again: look at the endpoints that wait. */
  wake() {
    for (const lane of this.lanes) if (lane.armed && !lane.busy) this.start(lane);
  }

  disarm(lane) {
    lane.armed = lane.busy = lane.second = false;
    lane.alarm.cancel();
  }

  written(offset, value) {
    if (offset < BUFFER_CONTROL || offset >= BUFFER_CONTROL_END) return;
    const lane = this.lanes[(offset - BUFFER_CONTROL) >> 2];
    if (value & STALL) this.host.stalled(lane.endpoint);
    if (!lane.armed && value & AVAILABLE) {
      lane.armed = true;
      lane.second = false;
      this.start(lane);
    }
  }

  controlWord(lane) {
    return ENDPOINT_CONTROL + 8 * (lane.endpoint - 1) + (lane.out ? 4 : 0);
  }

  buffer(lane) {
    if (!lane.endpoint) return ENDPOINT_0_BUFFER;
    return (this.view.getUint32(this.controlWord(lane), true) & 0xffc0) + (lane.second ? MAX_PACKET : 0);
  }

  half(lane) {
    return BUFFER_CONTROL + 8 * lane.endpoint + (lane.out ? 4 : 0) + (lane.second ? 2 : 0);
  }

  start(lane) {
    const length = this.view.getUint16(this.half(lane), true) & LENGTH;
    if (lane.out) {
      lane.packet = this.host.offer(lane.endpoint, length);
      if (!lane.packet) return; // NAK
    } else if (!this.host.wants(lane.endpoint)) return;
    lane.busy = true;
    lane.alarm.schedule(this.reserve(lane.out ? lane.packet.length : length));
  }

  /** Nanoseconds until a packet of `bytes` has passed, behind those already on their way. */
  reserve(bytes) {
    if (!this.paced) return UNPACED_NANOS;
    const now = this.clock.nanos;
    const share = (bytes + OVERHEAD_BYTES) / (MAX_PACKET + OVERHEAD_BYTES);
    this.freeAt = Math.max(this.freeAt, now) + Math.round((FRAME_NANOS / PACKETS_PER_FRAME) * share);
    return this.freeAt - now;
  }

  complete(lane) {
    const at = this.half(lane);
    const start = this.buffer(lane);
    let control = this.view.getUint16(at, true);
    let packet = lane.packet;
    if (lane.out) {
      this.memory.set(packet, start);
      control = (control & ~LENGTH) | FULL | packet.length;
    } else {
      packet = this.memory.slice(start, start + (control & LENGTH));
      control &= ~FULL;
    }
    this.view.setUint16(at, control & ~AVAILABLE, true);
    lane.busy = false;
    const settings = lane.endpoint ? this.view.getUint32(this.controlWord(lane), true) : 0;
    const pair = Boolean(settings & DOUBLE_BUFFERED);
    const other = pair && !lane.second && this.view.getUint16(at + 2, true) & AVAILABLE;
    lane.armed = lane.second = Boolean(other);
    if (!(other && settings & INTERRUPT_PER_PAIR)) this.usb.indicateBufferReady(lane.endpoint, lane.out);
    if (lane.armed && !lane.busy) this.start(lane);
    this.host.received(lane.endpoint, lane.out, packet);
  }
}
