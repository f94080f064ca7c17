// The board's serial port as programs see it: a pseudo-terminal, kept by a helper at the other end of a socket, and
// a TCP port on loopback. What the board sends goes to whoever has opened one of them.

import net from 'node:net';

import { InputGate } from './input_gate.mjs';

const HEADER_BYTES = 3; // kind, length
const CHUNK_BYTES = 1 << 15;
const INPUT_LIMIT = 1 << 16;
const DATA = 'D';
const OPENED = 'O';
const CLOSED = 'C';
const PATH = 'P';
const ATTACH = 'A';
const DETACH = 'X';
const DEFAULT_BAUD = 115200;

/** Messages to and from the helper: a letter, a length of 16 bits, the content. (bridge.py) */
class Bridge {
  constructor(fd, onMessage, onEnd) {
    this.socket = new net.Socket({ fd, readable: true, writable: true });
    this.rest = Buffer.alloc(0);
    this.onMessage = onMessage;
    this.socket.on('data', (data) => this.received(data));
    this.socket.on('error', () => {});
    this.socket.on('close', onEnd);
  }

  received(data) {
    this.rest = this.rest.length ? Buffer.concat([this.rest, data]) : data;
    while (this.rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.rest.readUInt16BE(1);
      if (this.rest.length < end) return;
      this.onMessage(String.fromCharCode(this.rest[0]), this.rest.subarray(HEADER_BYTES, end));
      this.rest = this.rest.subarray(end);
    }
  }

  send(kind, content = Buffer.alloc(0)) {
    const head = Buffer.alloc(HEADER_BYTES);
    head[0] = kind.charCodeAt(0);
    head.writeUInt16BE(content.length, 1);
    this.socket.write(Buffer.concat([head, content]));
  }
}

/** Events: `onWake()` when a program did something that the machine should see. */
export class Ports {
  /** `bridgeFd` null: no pseudo-terminal here. `isResting`, on the emulated clock: whether the machine rests. */
  constructor(usb, { bridgeFd, isResting = null }) {
    this.usb = usb;
    this.attached = false;
    this.terminalOpen = null; // the baud rate
    this.client = null;
    this.path = null;
    this.outgoing = [];
    this.onWake = () => {};
    this.onPath = () => {};
    const deliver = (bytes) => {
      this.usb.write(bytes);
      this.throttle();
      this.onWake();
    };
    this.gate = isResting && new InputGate(deliver, isResting);
    this.deliver = deliver;
    usb.onData = (bytes) => this.outgoing.push(bytes);
    usb.backlog = () => this.backlog();
    this.bridge =
      bridgeFd === null
        ? null
        : new Bridge(
            bridgeFd,
            (kind, content) => this.fromTerminal(kind, content),
            () => process.exit(0), // without its helper nobody can reach the board
          );
    this.server = net.createServer((socket) => this.connected(socket));
  }

  /** Resolves with the number of the TCP port. */
  listen(port) {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', () => resolve(this.server.address().port));
    });
  }

  /** The port appears, or vanishes under those who have it open. */
  setAttached(on) {
    this.attached = on;
    this.outgoing = [];
    if (!on) {
      this.client?.destroy();
      this.client = null;
      this.gate?.clear();
      this.terminalOpen = null;
      this.path = null;
      this.usb.setOpen(null);
    }
    this.bridge?.send(on ? ATTACH : DETACH);
  }

  fromTerminal(kind, content) {
    if (kind === PATH) {
      this.path = content.toString();
      this.onPath();
    } else if (this.attached && kind === DATA) this.input(content);
    else if (this.attached && (kind === OPENED || kind === CLOSED)) {
      this.lineChanged(kind === OPENED, content.readUInt32BE(0));
      this.onWake();
    }
  }

  lineChanged(opened, baud) {
    // A program that closed the port at another rate than it opened it at set that rate in between.
    if (!opened && this.usb.opened !== baud) this.usb.setOpen(baud);
    this.terminalOpen = opened ? baud : null;
    this.usb.setOpen(this.terminalOpen ?? (this.client ? DEFAULT_BAUD : null));
  }

  connected(socket) {
    if (!this.attached) {
      socket.destroy();
      return;
    }
    this.client?.destroy();
    this.client = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => this.input(data));
    socket.on('drain', () => this.onWake());
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.client !== socket) return;
      this.client = null;
      this.usb.setOpen(this.terminalOpen);
      this.onWake();
    });
    this.usb.setOpen(DEFAULT_BAUD);
    this.onWake();
  }

  input(data) {
    if (this.gate) this.gate.push(data);
    else this.deliver(data);
  }

  /** A program that writes faster than the board reads is made to wait. */
  throttle() {
    const full = this.usb.queued > INPUT_LIMIT;
    for (const socket of [this.client, this.bridge?.socket]) {
      if (!socket) continue;
      if (full) socket.pause();
      else if (socket.isPaused()) socket.resume();
    }
  }

  backlog() {
    const waiting = this.outgoing.reduce((sum, part) => sum + part.length, 0);
    return waiting + Math.max(this.client?.writableLength ?? 0, this.bridge?.socket.writableLength ?? 0);
  }

  /** Hand over what the board sent since the last time, in one piece. */
  flush() {
    this.throttle();
    if (!this.outgoing.length) return;
    const data = Buffer.concat(this.outgoing);
    this.outgoing = [];
    this.client?.write(data);
    if (this.bridge && this.terminalOpen !== null) {
      for (let at = 0; at < data.length; at += CHUNK_BYTES) {
        this.bridge.send(DATA, data.subarray(at, at + CHUNK_BYTES));
      }
    }
  }
}
