/**
 * Modbus/TCP frames, as far as reading needs them. There is no function that writes: a fire panel cannot be silenced by
 * code that does not exist.
 *
 * @see MODBUS Application Protocol V1.1b3 sections 6.1 to 6.4; MODBUS Messaging on TCP/IP V1.0b section 3.1.3
 */
export const READ_FUNCTION = { coil: 1, discrete: 2, holding: 3, input: 4 } as const;
export type Table = keyof typeof READ_FUNCTION;

export interface ReadRequest {
  readonly unit: number;
  readonly table: Table;
  readonly address: number;
  readonly count: number;
}

/** A unit answered that it cannot. */
export class ModbusException extends Error {
  override readonly name = 'ModbusException';
  readonly code: number;

  constructor(code: number) {
    super(`exception ${code}`);
    this.code = code;
  }
}

/** 0x0A and 0x0B: the gateway is there, the device behind it is not. */
export function isDeviceGone(code: number): boolean {
  return code === 0x0a || code === 0x0b;
}

export const MAX_BITS = 2_000;
export const MAX_REGISTERS = 125;
const HEADER = 7;
/** Transaction, protocol, length; then unit, function and at most 252 bytes. */
export const MAX_FRAME = 260;

export function encodeRequest(transaction: number, { unit, table, address, count }: ReadRequest): Buffer {
  const frame = Buffer.alloc(12);
  frame.writeUInt16BE(transaction, 0);
  frame.writeUInt16BE(6, 4);
  frame.writeUInt8(unit, 6);
  frame.writeUInt8(READ_FUNCTION[table], 7);
  frame.writeUInt16BE(address, 8);
  frame.writeUInt16BE(count, 10);
  return frame;
}

export interface Frame {
  readonly transaction: number;
  readonly unit: number;
  readonly pdu: Buffer;
  readonly size: number;
}

/** The first whole frame of a stream; null: there is none yet. @throws RangeError for what is no Modbus */
export function takeFrame(stream: Buffer): Frame | null {
  if (stream.length < HEADER) return null;
  const length = stream.readUInt16BE(4);
  if (stream.readUInt16BE(2) !== 0 || length < 2 || length + 6 > MAX_FRAME)
    throw new RangeError('this is no Modbus frame');
  const size = length + 6;
  if (stream.length < size) return null;
  return { transaction: stream.readUInt16BE(0), unit: stream.readUInt8(6), pdu: stream.subarray(HEADER, size), size };
}

/** The values of an answer: 0 and 1 of bits, words of registers. @throws ModbusException RangeError */
export function decodeAnswer({ table, count }: ReadRequest, pdu: Buffer): readonly number[] {
  const code = READ_FUNCTION[table];
  if (pdu.length >= 2 && pdu.readUInt8(0) === (code | 0x80)) throw new ModbusException(pdu.readUInt8(1));
  const isBits = table === 'coil' || table === 'discrete';
  const bytes = isBits ? Math.ceil(count / 8) : count * 2;
  if (pdu.length !== bytes + 2 || pdu.readUInt8(0) !== code || pdu.readUInt8(1) !== bytes)
    throw new RangeError('this answers another question');
  return Array.from({ length: count }, (_, index) =>
    isBits ? (pdu.readUInt8(2 + (index >> 3)) >> (index & 7)) & 1 : pdu.readUInt16BE(2 + index * 2),
  );
}
