// The emulated Pico as a process: `node main.mjs JSON`, with JSON an object of
//   library    path of rp2040js's ES module
//   flash_fd   the flash's file, open for reading and writing (or `flash`, its path)
//   bridge_fd  a socket to the helper that keeps the pseudo-terminal, or null
//   tcp_port   the port on loopback, 0 for any free one
//   unique_id  8 bytes in hex
//   clock      "wall" or "emulated"
//   paced      whether packets take their time on the bus
//   compile    false: the plain core of rp2040js, for comparison
// It ends when its standard input or its parent does. (control.mjs: commands)

import fs from 'node:fs';
import { pathToFileURL } from 'node:url';

import { Control } from './control.mjs';
import { Flash } from './flash.mjs';
import { Machine } from './machine.mjs';
import { Pacer } from './pacer.mjs';
import { endWith } from './parent.mjs';
import { Pins } from './pins.mjs';
import { Ports } from './ports.mjs';
import { UsbHost } from './usb_host.mjs';

const options = JSON.parse(process.argv[2]);
const log = (line) => process.stderr.write(`${line}\n`);
let complaints = 50;
console.warn = (...words) => complaints-- > 0 && log(words.join(' ')); // rp2040js's own

endWith(process.ppid);
const library = await import(pathToFileURL(options.library));
const uniqueId = Buffer.from(options.unique_id, 'hex');
const flash = new Flash(options.flash_fd ?? fs.openSync(options.flash, 'r+'), uniqueId);
const usb = new UsbHost({ paced: options.paced });
const pins = new Pins();
const seed = options.clock === 'emulated' ? uniqueId.readUInt32LE(0) : Date.now() & 0x7fffffff;
const machine = new Machine({ library, flash, usb, pins, seed, log, compile: options.compile });
const isResting = options.clock === 'emulated' ? () => machine.resting : null;
const ports = new Ports(usb, { bridgeFd: options.bridge_fd, isResting });
const tcpPort = await ports.listen(options.tcp_port);
const pacer = new Pacer(machine, options.clock, () => ports.flush());
const info = { tcp_port: tcpPort, unique_id: options.unique_id, clock: options.clock, paced: options.paced };
const control = new Control({ machine, pins, ports, pacer, usb, flash, info });

ports.onWake = () => pacer.wake();
ports.onPath = () => control.tell({ event: 'port', path: ports.path });
usb.onAttach = (identity) => {
  ports.setAttached(true);
  control.tell({ event: 'attached', usb: identity });
};
usb.onDetach = () => {
  ports.setAttached(false);
  control.tell({ event: 'detached' });
};
machine.onReset = (cause) => control.tell({ event: 'reset', cause, mode: machine.mode });

control.tell({ event: 'ready', tcp_port: tcpPort });
machine.reset('power-on');
pacer.wake();
