// Stands in for the second core, which is not emulated: it comes out of its reset and then never answers.

import {
  FIFO_ST_RDY,
  FIFO_ST_VLD,
  PSM,
  PSM_FRCE_OFF,
  PSM_PROC1,
  SIO_FIFO_RD,
  SIO_FIFO_ST,
  SIO_FIFO_WR,
} from './registers.mjs';

/** Watches the mailbox between the cores; `onStart` is called once, when the firmware wants core 1 to run. */
export function standInForCore1(chip, onStart) {
  const { sio } = chip;
  const psm = chip.peripherals[PSM];
  const mail = []; // for core 0
  let asked = false;

  const [readSio, writeSio] = [sio.readUint32.bind(sio), sio.writeUint32.bind(sio)];
  sio.readUint32 = (offset) => {
    if (offset === SIO_FIFO_ST) return FIFO_ST_RDY | (mail.length ? FIFO_ST_VLD : 0);
    return offset === SIO_FIFO_RD ? (mail.shift() ?? 0) : readSio(offset);
  };
  sio.writeUint32 = (offset, value) => {
    if (offset === SIO_FIFO_WR) {
      if (!asked && value) onStart(); // zeros only drain the mailbox
      asked ||= value !== 0;
    } else if (offset !== SIO_FIFO_ST) writeSio(offset, value);
  };

  const writePsm = psm.writeUint32.bind(psm);
  let held = false; // in reset
  psm.writeUint32 = (offset, value) => {
    writePsm(offset, value);
    if (offset !== PSM_FRCE_OFF) return;
    const hold = Boolean(value & PSM_PROC1);
    if (held && !hold) {
      mail.push(0); // the boot ROM's sign on core 1 that it has started (datasheet 2.8.2)
      chip.core.eventRegistered = true;
    }
    held = hold;
  };
}
