// Runs workloads on the plain and the compiled core by turns: `node bench_picosim.mjs HARNESS LIBRARY FLASH CODES`.
//
// CODES is a JSON list of Python programs for the REPL of MicroPython in FLASH; "": whatever FLASH runs, for a while.
// Prints megacycles per second of processor time, after one round that warms up, and checks that both take the same.

import fs from 'node:fs';
import { pathToFileURL } from 'node:url';

const [harness, libraryPath, flashPath, codes] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${harness}/${name}.mjs`));
const [{ Machine }, { Flash }, { UsbHost }, { Pins }] = await Promise.all(
  ['machine', 'flash', 'usb_host', 'pins'].map(load),
);
const { wake } = await load('errata');
const library = await import(pathToFileURL(libraryPath));

const CHUNK_NANOS = 1e6;
const LOOP_NANOS = 0.3e9;

function start(compile) {
  const path = `${flashPath}.${compile}`;
  fs.copyFileSync(flashPath, path);
  const usb = new UsbHost({ paced: true });
  const board = { usb, output: '' };
  usb.onData = (bytes) => {
    board.output = (board.output + Buffer.from(bytes).toString('latin1')).slice(-100);
  };
  const flash = new Flash(fs.openSync(path, 'r+'), Buffer.alloc(8));
  board.machine = new Machine({ library, flash, usb, pins: new Pins(), seed: 1, log: console.error, compile });
  board.machine.reset('power-on');
  usb.setOpen(115200);
  return board;
}

function advance(machine, done) {
  while (!done()) {
    const { clock } = machine.chip;
    if (!machine.idle) machine.run(clock.nanosCounter + CHUNK_NANOS);
    else if (!clock.nextAlarm) throw new Error('the board waits for ever');
    else {
      clock.nanosCounter = clock.nextAlarm.nanos;
      clock.tick(0);
      wake(machine.core);
    }
  }
}

function run(board, code) {
  const { machine, usb } = board;
  const [cycles, time] = [machine.cycles, process.cpuUsage()];
  if (code) {
    usb.write(Buffer.from(`\x01${code}\x04`));
    advance(machine, () => board.output.endsWith('\x04\x04>') && machine.resting);
    board.output = '';
  } else {
    const end = machine.nanos + LOOP_NANOS;
    advance(machine, () => machine.nanos >= end);
  }
  const spent = process.cpuUsage(time);
  return { cycles: machine.cycles - cycles, seconds: (spent.user + spent.system) / 1e6 };
}

const boards = { plain: start(false), compiled: start(true) };
const rows = JSON.parse(codes).map((code) => {
  const row = {};
  for (const [name, board] of Object.entries(boards)) {
    if (code) advance(board.machine, () => board.usb.lineUp && board.machine.resting); // both at the same time
    run(board, code);
    const { cycles, seconds } = run(board, code);
    row[name] = cycles / seconds / 1e6;
  }
  if (codes !== '[""]' && boards.plain.machine.cycles !== boards.compiled.machine.cycles) {
    throw new Error(`${code}: ${boards.plain.machine.cycles} cycles, compiled ${boards.compiled.machine.cycles}`);
  }
  return row;
});
console.log(JSON.stringify(rows));
