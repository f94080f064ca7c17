// Requests that a host sends when a CDC device is plugged in, and what it reads from the answers.
// (USB 2.0, 9.4; CDC PSTN 1.2, 6.3)

const IN = 0x80;
const CLASS_TO_INTERFACE = 0x21;
const SET_ADDRESS = 5;
const GET_DESCRIPTOR = 6;
const SET_CONFIGURATION = 9;
const SET_LINE_CODING = 0x20;
const SET_CONTROL_LINE_STATE = 0x22;
const US_ENGLISH = 0x0409;

export const DEVICE = 1;
export const CONFIGURATION = 2;
export const STRING = 3;
const INTERFACE = 4;
const ENDPOINT = 5;
const COMMUNICATION_CLASS = 2;
const CDC_DATA_CLASS = 10;
const BULK = 2;

function setup(type, request, value, index, length) {
  return Uint8Array.of(type, request, value & 255, value >> 8, index & 255, index >> 8, length & 255, length >> 8);
}

export const setAddress = (address) => ({ setup: setup(0, SET_ADDRESS, address, 0, 0) });

export const setConfiguration = (number) => ({ setup: setup(0, SET_CONFIGURATION, number, 0, 0) });

export function getDescriptor(type, index, length) {
  return { setup: setup(IN, GET_DESCRIPTOR, (type << 8) | index, type === STRING ? US_ENGLISH : 0, length) };
}

/** 8 data bits, no parity, 1 stop bit at `baud`. */
export function setLineCoding(control, baud) {
  const data = new Uint8Array(7);
  new DataView(data.buffer).setUint32(0, baud, true);
  data[6] = 8;
  return { setup: setup(CLASS_TO_INTERFACE, SET_LINE_CODING, 0, control, data.length), data };
}

/** DTR and RTS, both on or both off, as a terminal that opens or closes does. */
export function setLineState(control, on) {
  return { setup: setup(CLASS_TO_INTERFACE, SET_CONTROL_LINE_STATE, on ? 3 : 0, control, 0) };
}

/** What the device descriptor says; its strings are indexes still. */
export function parseDevice(bytes) {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  return {
    vid: view.getUint16(8, true),
    pid: view.getUint16(10, true),
    strings: { manufacturer: bytes[14], product: bytes[15], serial: bytes[16] },
  };
}

/** The text of a string descriptor (UTF-16). */
export function parseString(bytes) {
  return Buffer.from(bytes.slice(2, bytes[0])).toString('utf16le');
}

/** The control interface and the two bulk endpoints of the first CDC function, or null. */
export function findSerial(bytes) {
  const found = { control: -1, input: -1, output: -1 };
  let inData = false;
  for (let at = 0; at + 1 < bytes.length && bytes[at]; at += bytes[at]) {
    if (bytes[at + 1] === INTERFACE) {
      if (bytes[at + 5] === COMMUNICATION_CLASS && found.control < 0) found.control = bytes[at + 2];
      inData = bytes[at + 5] === CDC_DATA_CLASS && found.input < 0;
    } else if (bytes[at + 1] === ENDPOINT && inData && (bytes[at + 3] & 3) === BULK) {
      if (bytes[at + 2] & IN) found.input = bytes[at + 2] & 15;
      else found.output = bytes[at + 2];
      inData = found.input < 0 || found.output < 0;
    }
  }
  return found.input >= 0 && found.output >= 0 ? found : null;
}
