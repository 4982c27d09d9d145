import { describe, expect, it } from 'vitest';
import { decodeSparkplug, encodeSparkplug, SparkplugError } from './dialects/sparkplug-payload.ts';
import { parseSparkplugTopic } from './dialects/sparkplug.ts';
import { decodeAnswer, encodeRequest, ModbusException, takeFrame } from './modbus/frames.ts';
import { planReads, valueOf } from './modbus/registers.ts';
import { find, parseXml, XmlError } from './onvif/xml.ts';
import { SensorsSettings } from './settings.ts';
import { createTracker } from './tracker.ts';

describe('Sparkplug payloads', () => {
  it('survive the wire', () => {
    const at = new Date('2026-02-04T14:32:00Z');
    const metrics = [
      { name: 'Leak', alias: 1, value: true },
      { alias: 2, value: 87.5 },
      { name: 'Note', value: 'ok' },
    ];
    const { seq, metrics: read } = decodeSparkplug(encodeSparkplug({ at, seq: 7, metrics }));
    expect(seq).toBe(7);
    expect(read.map(({ name, alias, value }) => [name, alias, value])).toEqual([
      ['Leak', '1', true],
      [null, '2', 87.5],
      ['Note', null, 'ok'],
    ]);
  });

  it('have signed numbers: minus one is not four thousand millions', () => {
    // metric { name "t", datatype 3 (Int32), int_value 0xFFFFFFFF }
    const metric = Buffer.from([0x0a, 0x01, 0x74, 0x20, 0x03, 0x50, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    const { metrics } = decodeSparkplug(Buffer.concat([Buffer.from([0x12, metric.length]), metric]));
    expect(metrics[0]?.value).toBe(-1);
  });

  it.each([
    ['cut short', Buffer.from([0x12, 0x7f, 0x01])],
    ['without an end', Buffer.alloc(20, 0xff)],
  ])('that are %s are refused', (_, bytes) => {
    expect(() => decodeSparkplug(bytes)).toThrow(SparkplugError);
  });

  it('come on topics of the specification only', () => {
    expect(parseSparkplugTopic('spBv1.0/g/DDATA/e/d')).toEqual({ group: 'g', type: 'DDATA', edge: 'e', device: 'd' });
    for (const topic of ['spBv1.0/g/NCMD/e', 'spBv1.0/g/DDATA/e', 'spBv1.0/g/NDATA/e/d', 'other/g/NDATA/e'])
      expect(parseSparkplugTopic(topic)).toBeNull();
  });
});

describe('Modbus', () => {
  const registers = SensorsSettings.parse({
    sites: [{ id: 's', name: 'S' }],
    sources: [{ id: 'm', protocol: 'modbus', host: 'gw' }],
    sensors: [
      {
        source: 'm',
        address: '1',
        registers: [
          { name: 'a', table: 'discrete', address: 0 },
          { name: 'b', table: 'discrete', address: 3 },
          { name: 'far', table: 'discrete', address: 1_000 },
          { name: 's', table: 'holding', address: 5, type: 's16', scale: 0.1 },
          { name: 'f', table: 'holding', address: 6, type: 'f32', wordOrder: 'low-first' },
        ],
      },
    ],
  }).sensors[0]!.registers;

  it('asks for neighbours together and for what is far apart apart', () => {
    expect(planReads(1, registers)).toEqual([
      { unit: 1, table: 'discrete', address: 0, count: 4 },
      { unit: 1, table: 'discrete', address: 1_000, count: 1 },
      { unit: 1, table: 'holding', address: 5, count: 3 },
    ]);
  });

  it('reads signed, scaled and floating values in either order of words', () => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatBE(21.5);
    const cells = new Map([
      [5, 0xffff],
      [6, bytes.readUInt16BE(2)],
      [7, bytes.readUInt16BE(0)],
    ]);
    const value = (name: string) =>
      valueOf(registers.find((register) => register.name === name)!, (_, address) => cells.get(address));
    expect(value('s')).toBeCloseTo(-0.1);
    expect(value('f')).toBe(21.5);
    expect(value('a')).toBeUndefined();
  });

  it('takes frames out of a stream whole, wherever it is cut', () => {
    const frame = encodeRequest(9, { unit: 1, table: 'coil', address: 0, count: 8 });
    for (let cut = 0; cut < frame.length; cut += 1) expect(takeFrame(frame.subarray(0, cut))).toBeNull();
    expect(takeFrame(Buffer.concat([frame, frame]))).toMatchObject({ transaction: 9, unit: 1, size: 12 });
    expect(() => takeFrame(Buffer.from('GET / HTTP/1.1'))).toThrow(RangeError);
  });

  it('knows an exception from an answer, and an answer to something else', () => {
    const request = { unit: 1, table: 'coil', address: 0, count: 9 } as const;
    expect(decodeAnswer(request, Buffer.from([1, 2, 0b101, 1]))).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1]);
    expect(() => decodeAnswer(request, Buffer.from([0x81, 0x0b]))).toThrow(ModbusException);
    expect(() => decodeAnswer(request, Buffer.from([1, 1, 0]))).toThrow(RangeError);
  });
});

describe('XML', () => {
  it('gives elements, attributes and text without prefixes', () => {
    const root = parseXml(
      '<?xml version="1.0"?><a:r xmlns:a="x"><b c="1 &amp; 2"/><d> t&#33;<![CDATA[<]]></d><!-- no --></a:r>',
    );
    expect(root.name).toBe('r');
    expect(find(root, 'b')?.attributes.get('c')).toBe('1 & 2');
    expect(find(root, 'd')?.text).toBe('t!<');
  });

  it.each([
    ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ['an entity that nobody declared', '<a>&b;</a>'],
    ['a document without an end', '<a><b></a>'],
    ['depth without bound', '<a>'.repeat(100)],
    ['text outside', 'hello'],
    ['two roots', '<a/><b/>'],
    ['nothing', ''],
  ])('refuses %s', (_, xml) => {
    expect(() => parseXml(xml)).toThrow(XmlError);
  });
});

describe('the tracker', () => {
  const reading = (value: string, over = {}) =>
    ({
      nativeId: 'd',
      point: 'p',
      signal: 'alarm',
      value,
      word: value,
      occurredAt: null,
      metadata: null,
      ...over,
    }) as const;

  it('lets a state pass once', () => {
    const tracker = createTracker(null, false, 1_000);
    expect(['clear', 'active', 'active', 'clear', 'clear'].map((value) => tracker.take(reading(value)))).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
  });

  it('takes what stands at the first start for state, and for news after a break', () => {
    const initial = reading('active', { isInitial: true });
    expect(createTracker(null, false, 1_000).take(initial)).toBe(false);
    expect(createTracker(null, true, 1_000).take(initial)).toBe(true);
    expect(createTracker('{"v":1,"abnormal":[]}', false, 1_000).take(initial)).toBe(true);
    const running = createTracker(null, false, 1_000);
    running.take(reading('clear', { isInitial: true }));
    expect(running.take(initial)).toBe(true);
  });

  it('remembers what was abnormal over a restart, and takes no token that is not its own', () => {
    const before = createTracker(null, false, 1_000);
    before.take(reading('active'));
    const after = createTracker(before.token(), false, 1_000);
    expect(after.take(reading('active'))).toBe(false);
    expect(after.take(reading('clear'))).toBe(true);
    expect(createTracker('nonsense', false, 1_000).take(reading('clear'))).toBe(false);
  });

  it('passes on a sign of life as often as it is told', () => {
    const tracker = createTracker(null, false, 1_000);
    expect([0, 500, 1_000, 1_500].map((at) => tracker.isLifeSignDue('d', at))).toEqual([true, false, true, false]);
  });
});
