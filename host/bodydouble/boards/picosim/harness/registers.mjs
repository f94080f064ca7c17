// Addresses and bits of the RP2040 that the harness touches itself. (RP2040 datasheet, the section named beside each)

export const ROM_BYTES = 0x4000; // 2.8
export const FLASH_BASE = 0x10000000; // 2.6.3: XIP
export const FLASH_BYTES = 2 << 20; // the Pico's W25Q16JV
export const RAM_BASE = 0x20000000;
export const RAM_BYTES = 264 << 10;

export const USB_MEMORY_BASE = 0x50100000; // 4.1.3.4
export const USB_PLAIN_START = 0x100; // before it are control words
export const USB_PLAIN_BYTES = 0x1000 - USB_PLAIN_START;

// Keys of rp2040js's table of peripherals: bits 31..14 of their base addresses.
export const SSI = 0x18000; // 4.10
export const PSM = 0x40010; // 2.13
export const IO_QSPI = 0x40018; // 2.19.6.2
export const ADC = 0x4004c; // 4.9
export const TIMER = 0x40054; // 4.6
export const WATCHDOG = 0x40058; // 4.7
export const ROSC = 0x40060; // 2.17
export const CHIP_RESET = 0x40064; // 2.12.8

export const AIRCR = 0xd0c; // 2.4.8: application interrupt and reset control, offset in the private bus
export const AIRCR_KEY = 0x05fa;
export const AIRCR_SYSRESETREQ = 1 << 2;

export const SIO_FIFO_ST = 0x50; // 2.3.1.4: the mailbox between the cores
export const SIO_FIFO_WR = 0x54;
export const SIO_FIFO_RD = 0x58;
export const FIFO_ST_VLD = 1 << 0;
export const FIFO_ST_RDY = 1 << 1;

export const PSM_FRCE_OFF = 0x04; // 2.13.5
export const PSM_PROC1 = 1 << 16;

export const LED_PIN = 25;
export const PIN_COUNT = 30;

// 2.8.1.1: what a program leaves in the watchdog's scratch registers to be started in place of the flash
export const BOOT_MAGIC = 0xb007c0d3;
