// Ends the process when its parent has ended, even while the main thread is busy and does not see the end of its input.

import { Worker } from 'node:worker_threads';

const LOOK_MS = 1000;

const WATCH = `
  const parent = require('node:worker_threads').workerData;
  setInterval(() => process.ppid === parent || process.kill(process.pid, 'SIGKILL'), ${LOOK_MS});
`;

/** `parent` is the parent's process id. Where orphans keep theirs (Windows), the end of the input alone counts. */
export function endWith(parent) {
  new Worker(WATCH, { eval: true, workerData: parent }).unref();
}
