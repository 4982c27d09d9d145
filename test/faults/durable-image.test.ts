import { describe, expect, it } from 'vitest';
import { DurableImage } from './durable-image.ts';
import { type Call, parseTrace } from './system-calls.ts';

function hex(text: string): string {
  return [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
const file = `<${hex('/data')}>`;
const write = (bytes: string, offset: number) => `pwrite64(3${file}, "${hex(bytes)}", ${bytes.length}, ${offset}`;

describe('a trace', () => {
  it('tells whole calls and those that another thread split', () => {
    const steps = parseTrace(
      [
        `10  ${write('ab', 4)}) = 2`,
        `11  fdatasync(4${file} <unfinished ...>`,
        `10  ${write('cd', 6)} <unfinished ...>`,
        `11  <... fdatasync resumed>)        = 0`,
        `10  <... pwrite64 resumed>)         = 2`,
        `10  ftruncate(3${file}, 5) = 0`,
        `10  writev(9<${hex('socket:[1]')}>, [{iov_base="${hex('HTTP')}", iov_len=4}, {iov_base="${hex('/1.1')}", iov_len=4}], 2) = 8`,
        `10  ${write('no', 0)}) = -1 ENOSPC (No space left on device)`,
      ].join('\n'),
    );
    expect(steps.map(({ phase, call }) => `${phase} ${call.kind}`)).toEqual([
      'begin write',
      'end write',
      'begin sync',
      'begin write',
      'end sync',
      'end write',
      'begin truncate',
      'end truncate',
      'begin send',
      'end send',
      'begin write',
    ]);
    expect(steps[1]?.call).toMatchObject({ path: '/data', offset: 4, bytes: Buffer.from('ab') });
    expect(steps[5]?.call).toMatchObject({ offset: 6 });
    expect(steps[8]?.call).toMatchObject({ path: 'socket:[1]', bytes: Buffer.from('HTTP/1.1') });
  });
});

describe('a durable image', () => {
  const path = '/data';
  const put = (bytes: string, offset: number): Call => ({ kind: 'write', path, offset, bytes: Buffer.from(bytes) });
  const sync: Call = { kind: 'sync', path };

  it('holds what was synced, and of the rest only what the disk wrote by itself', () => {
    const image = new DurableImage(new Map([[path, Buffer.from('....')]]));
    image.step({ phase: 'end', call: put('ab', 0) });
    image.step({ phase: 'begin', call: sync });
    // Written while the sync was under way: it covers it by chance only.
    image.step({ phase: 'end', call: put('cd', 2) });
    expect(
      image
        .afterPowerCut(() => false)
        .get(path)
        ?.toString(),
    ).toBe('....');
    image.step({ phase: 'end', call: sync });
    expect(
      image
        .afterPowerCut(() => false)
        .get(path)
        ?.toString(),
    ).toBe('ab..');
    expect(
      image
        .afterPowerCut(() => true)
        .get(path)
        ?.toString(),
    ).toBe('abcd');
    expect(
      image
        .afterPowerCut(() => false)
        .get(path)
        ?.toString(),
    ).toBe('ab..');
  });

  it('grows and shrinks with its file', () => {
    const image = new DurableImage(new Map());
    const cut: Call = { kind: 'truncate', path, length: 3 };
    const again: Call = { kind: 'sync', path };
    for (const call of [put('abcdef', 0), cut, put('z', 5)]) image.step({ phase: 'end', call });
    image.step({ phase: 'begin', call: again });
    image.step({ phase: 'end', call: again });
    expect(
      image
        .afterPowerCut(() => false)
        .get(path)
        ?.toString(),
    ).toBe('abc\0\0z');
  });
});
