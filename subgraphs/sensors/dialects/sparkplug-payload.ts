/**
 * The part of a Sparkplug B payload that sensors use: metrics with name or alias and a plain value. Data sets, templates
 * and properties are skipped, as protobuf lets one do.
 *
 * @see Eclipse Sparkplug 3.0.0, section 6.4 "Sparkplug B payloads"; protobuf.dev "Encoding"
 */
export type MetricValue = number | string | boolean | null;

export interface Metric {
  readonly name: string | null;
  readonly alias: string | null;
  readonly at: Date | null;
  readonly isHistorical: boolean;
  readonly value: MetricValue;
}

export interface SparkplugPayload {
  readonly at: Date | null;
  readonly seq: number | null;
  readonly metrics: readonly Metric[];
}

/** The bytes are no Sparkplug payload. */
export class SparkplugError extends Error {
  override readonly name = 'SparkplugError';
}

/** A birth certificate of a large edge has some thousands. */
const MAX_METRICS = 10_000;
/** Latest instant that a Date holds. */
const MAX_TIME_MS = 8.64e15;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

type Field = { readonly number: number; readonly wire: number; readonly integer: bigint; readonly bytes: Buffer };

function* fields(buffer: Buffer): Generator<Field> {
  let at = 0;
  function varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = buffer[at];
      if (byte === undefined) break;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new SparkplugError('a number does not end');
  }
  function take(length: number): Buffer {
    if (at + length > buffer.length) throw new SparkplugError('a field is cut short');
    at += length;
    return buffer.subarray(at - length, at);
  }
  const none = Buffer.alloc(0);
  while (at < buffer.length) {
    const tag = Number(varint() & 0xffff_ffffn);
    const wire = tag & 7;
    const number = tag >>> 3;
    if (number === 0) throw new SparkplugError('a field has no number');
    if (wire === VARINT) yield { number, wire, integer: varint(), bytes: none };
    else if (wire === FIXED64) yield { number, wire, integer: 0n, bytes: take(8) };
    else if (wire === FIXED32) yield { number, wire, integer: 0n, bytes: take(4) };
    else if (wire === BYTES) yield { number, wire, integer: 0n, bytes: take(Number(varint())) };
    else throw new SparkplugError('a field is of an unknown wire type');
  }
}

function dateOf(ms: bigint): Date | null {
  return ms <= BigInt(MAX_TIME_MS) ? new Date(Number(ms)) : null;
}

/** Int8 to Int64 travel as two's complement of 32 or 64 bits, so that −1 is not 4294967295. */
const SIGNED: ReadonlyMap<number, number> = new Map([
  [1, 32],
  [2, 32],
  [3, 32],
  [4, 64],
]);

function decodeMetric(bytes: Buffer): Metric {
  let name: string | null = null;
  let alias: string | null = null;
  let at: Date | null = null;
  let isHistorical = false;
  let isNull = false;
  let datatype = 0;
  let integer: bigint | null = null;
  let value: MetricValue = null;
  for (const field of fields(bytes)) {
    switch (field.number) {
      case 1:
        name = field.bytes.toString('utf8');
        break;
      case 2:
        alias = field.integer.toString();
        break;
      case 3:
        at = dateOf(field.integer);
        break;
      case 4:
        datatype = Number(field.integer);
        break;
      case 5:
        isHistorical = field.integer !== 0n;
        break;
      case 7:
        isNull = field.integer !== 0n;
        break;
      case 10:
      case 11:
        integer = field.integer;
        break;
      case 12:
        if (field.wire === FIXED32) value = field.bytes.readFloatLE();
        break;
      case 13:
        if (field.wire === FIXED64) value = field.bytes.readDoubleLE();
        break;
      case 14:
        value = field.integer !== 0n;
        break;
      case 15:
        if (field.wire === BYTES) value = field.bytes.toString('utf8');
        break;
      default:
    }
  }
  if (integer !== null) {
    const bits = SIGNED.get(datatype);
    const exact = bits === undefined ? integer : BigInt.asIntN(bits, integer);
    value = Number.isSafeInteger(Number(exact)) ? Number(exact) : exact.toString();
  }
  if (typeof value === 'number' && !Number.isFinite(value)) value = null;
  return { name, alias, at, isHistorical, value: isNull ? null : value };
}

/** @throws SparkplugError */
export function decodeSparkplug(payload: Buffer): SparkplugPayload {
  let at: Date | null = null;
  let seq: number | null = null;
  const metrics: Metric[] = [];
  for (const field of fields(payload)) {
    if (field.number === 1) at = dateOf(field.integer);
    else if (field.number === 3) seq = Number(field.integer & 0xffn);
    else if (field.number === 2 && field.wire === BYTES) {
      if (metrics.length >= MAX_METRICS) throw new SparkplugError('it has too many metrics');
      metrics.push(decodeMetric(field.bytes));
    }
  }
  return { at, seq, metrics };
}

function encodeVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function integerField(number: number, value: bigint): Buffer {
  return Buffer.concat([encodeVarint(BigInt(number << 3)), encodeVarint(value)]);
}

function bytesField(number: number, value: Buffer): Buffer {
  return Buffer.concat([encodeVarint(BigInt((number << 3) | BYTES)), encodeVarint(BigInt(value.length)), value]);
}

const DATATYPE = { boolean: 11n, number: 10n, string: 12n };

/** What we say (a request for rebirth), and what a simulated edge says. */
export function encodeSparkplug(payload: {
  readonly at: Date;
  readonly seq: number | null;
  readonly metrics: readonly {
    readonly name?: string;
    readonly alias?: number;
    readonly value: number | string | boolean;
  }[];
}): Buffer {
  const metrics = payload.metrics.map(({ name, alias, value }) => {
    const double = Buffer.alloc(9);
    double[0] = (13 << 3) | FIXED64;
    if (typeof value === 'number') double.writeDoubleLE(value, 1);
    const parts = [
      name === undefined ? Buffer.alloc(0) : bytesField(1, Buffer.from(name)),
      alias === undefined ? Buffer.alloc(0) : integerField(2, BigInt(alias)),
      integerField(3, BigInt(payload.at.getTime())),
      integerField(
        4,
        typeof value === 'boolean' ? DATATYPE.boolean : typeof value === 'number' ? DATATYPE.number : DATATYPE.string,
      ),
      typeof value === 'boolean'
        ? integerField(14, value ? 1n : 0n)
        : typeof value === 'number'
          ? double
          : bytesField(15, Buffer.from(value)),
    ];
    return bytesField(2, Buffer.concat(parts));
  });
  const seq = payload.seq === null ? Buffer.alloc(0) : integerField(3, BigInt(payload.seq));
  return Buffer.concat([integerField(1, BigInt(payload.at.getTime())), ...metrics, seq]);
}
