import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';

function logged(write: (logger: ReturnType<typeof createLogger>) => void, level = 'info'): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger(level, { write: (line: string) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line));
}

describe('logger', () => {
  it('writes one JSON object per line with the level in words', () => {
    expect(logged((logger) => logger.info({ vendor: 'acme' }, 'Sync finished'))).toEqual([
      { level: 'info', time: expect.stringMatching(/Z$/), vendor: 'acme', msg: 'Sync finished' },
    ]);
  });

  it('leaves out what is below its level', () => {
    expect(logged((logger) => logger.debug('Nothing'))).toEqual([]);
  });

  it.each([
    ['at the top', { password: 'hunter2' }],
    ['one level down', { headers: { authorization: 'Bearer hunter2' } }],
    ['two levels down', { request: { headers: { authorization: 'Bearer hunter2' } } }],
    ['three levels down', { integration: { settings: { login: { apiKey: 'hunter2' } } } }],
    ['in an error', { err: Object.assign(new Error('refused'), { credentials: 'hunter2' }) }],
  ])('hides a secret %s', (_, fields) => {
    const text = JSON.stringify(logged((logger) => logger.error(fields, 'Refused')));
    expect(text).not.toContain('hunter2');
    expect(text).toContain('[redacted]');
  });
});
