// The computer at the other end of the cable: enumerates the device and drives its CDC port as Linux's cdc-acm does.

import {
  CONFIGURATION,
  DEVICE,
  STRING,
  findSerial,
  getDescriptor,
  parseDevice,
  parseString,
  setAddress,
  setConfiguration,
  setLineCoding,
  setLineState,
} from './usb_requests.mjs';
import { UsbBus } from './usb_bus.mjs';

const DEBOUNCE_NANOS = 20e6; // a real host waits 100 ms
const MAX_PACKET = 64;
const ADDRESS = 1;
const RECEIVE_LIMIT = 1 << 16; // bytes from the device that wait for a slow reader before its endpoint is left alone

/**
 * Events: `onAttach(identity)`, `onDetach()`, `onData(bytes)`. A port that nobody has opened is not read, as with a
 * real one: the device's data wait in it.
 */
export class UsbHost {
  constructor({ paced }) {
    this.paced = paced;
    this.cable = true;
    this.bus = null;
    this.opened = null; // the baud rate at which the port is open
    this.onAttach = this.onDetach = this.onData = () => {};
    /** How much of what the device sent its reader has not taken yet; asked before each packet. */
    this.backlog = () => 0;
    this.sent = this.got = 0;
    this.unplugged();
  }

  unplugged() {
    const was = this.identity;
    this.identity = null;
    this.serial = null;
    this.transfers = [];
    this.queue = [];
    this.queued = 0;
    this.lineUp = false;
    if (was) this.onDetach();
  }

  /** A new chip is at the end of the cable, its USB controller off. */
  plug(chip) {
    this.unplugged();
    this.bus = new UsbBus(chip, this, this.paced);
    this.debounce = chip.clock.createAlarm(() => this.bus.reset());
  }

  /** Pull the cable, or put it back. The device stays powered and sees no difference but silence. */
  setCable(connected) {
    if (connected === this.cable) return;
    this.cable = connected;
    this.pullup(this.bus?.pulledUp ?? false);
  }

  /** The port is opened at a baud rate, or closed: null. */
  setOpen(baud) {
    this.opened = baud;
    if (this.serial) this.signalLine();
  }

  /** What a program wrote to the port. */
  write(bytes) {
    this.queue.push(bytes);
    this.queued += bytes.length;
    this.bus?.wake();
  }

  signalLine() {
    const up = this.opened !== null;
    if (up) this.request(setLineCoding(this.serial.control, this.opened));
    else {
      this.queue = []; // what a closed port had not sent yet is gone
      this.queued = 0;
    }
    this.request({
      ...setLineState(this.serial.control, up),
      done: () => {
        this.lineUp = up;
        this.bus.wake();
      },
    });
  }

  // --- the bus's questions

  pullup(up) {
    this.debounce.cancel();
    if (up && this.cable) this.debounce.schedule(DEBOUNCE_NANOS);
    else this.unplugged();
  }

  busReset() {
    this.transfers = [];
    if (this.cable) this.enumerate();
  }

  stalled(endpoint) {
    if (endpoint === 0 && this.transfers.length) this.finish(true);
  }

  wants(endpoint) {
    if (endpoint === 0) return this.transfers.length > 0;
    return endpoint === this.serial?.input && this.lineUp && this.backlog() < RECEIVE_LIMIT;
  }

  offer(endpoint, room) {
    if (endpoint === 0) return this.offerControl(room);
    if (endpoint !== this.serial?.output || !this.lineUp || !this.queued) return null;
    const packet = new Uint8Array(Math.min(room, this.queued, MAX_PACKET));
    for (let at = 0; at < packet.length; ) {
      const head = this.queue[0];
      const part = head.subarray(0, packet.length - at);
      packet.set(part, at);
      at += part.length;
      if (part.length === head.length) this.queue.shift();
      else this.queue[0] = head.subarray(part.length);
    }
    this.queued -= packet.length;
    this.sent += packet.length;
    return packet;
  }

  received(endpoint, out, packet) {
    if (endpoint === 0) this.controlMoved(out, packet);
    else if (!out && endpoint === this.serial?.input && packet.length) {
      this.got += packet.length;
      this.onData(packet);
    }
  }

  // --- control transfers: one at a time; SETUP, data, status

  request(transfer) {
    this.transfers.push({ received: [], sent: 0, ...transfer });
    if (this.transfers.length === 1) this.begin();
  }

  begin() {
    this.bus.setup(this.transfers[0].setup);
  }

  offerControl(room) {
    const transfer = this.transfers[0];
    if (!transfer) return null;
    if (transfer.setup[0] & 0x80) return new Uint8Array(0); // status
    return transfer.data ? transfer.data.subarray(transfer.sent, transfer.sent + Math.min(room, MAX_PACKET)) : null;
  }

  controlMoved(out, packet) {
    const transfer = this.transfers[0];
    if (!transfer) return;
    const reads = Boolean(transfer.setup[0] & 0x80);
    if (reads && !out) transfer.received.push(...packet);
    else if (!reads && out) transfer.sent += packet.length;
    if (reads === out) this.finish(false); // the status stage goes the other way
  }

  finish(failed) {
    const transfer = this.transfers.shift();
    transfer.done?.(failed ? null : transfer.received);
    if (this.transfers.length) this.begin();
  }

  // --- plugging in

  enumerate() {
    const identity = {};
    this.request(getDescriptor(DEVICE, 0, 64));
    this.request(setAddress(ADDRESS));
    this.request({
      ...getDescriptor(DEVICE, 0, 18),
      done: (bytes) => {
        if (!bytes) return; // a device that refuses this is no use; a real host gives up as well
        const { strings, ...numbers } = parseDevice(bytes);
        Object.assign(identity, numbers);
        for (const [name, index] of Object.entries(strings)) {
          if (!index) continue;
          this.request({
            ...getDescriptor(STRING, index, 255),
            done: (text) => {
              identity[name] = text ? parseString(text) : '';
            },
          });
        }
        this.request({
          ...getDescriptor(CONFIGURATION, 0, 9),
          done: (head) => head && this.configure(identity, head[2] | (head[3] << 8)),
        });
      },
    });
  }

  configure(identity, length) {
    let serial = null;
    this.request({
      ...getDescriptor(CONFIGURATION, 0, length),
      done: (bytes) => {
        serial = bytes && findSerial(bytes);
      },
    });
    this.request({
      ...setConfiguration(1),
      done: () => {
        this.serial = serial;
        this.identity = identity;
        if (serial && this.opened !== null) this.signalLine();
        this.onAttach(identity);
      },
    });
  }
}
