import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { describeVendorContract } from './contract-suite.ts';
import { sdkSample } from './fixtures/sdk-sample/sample.ts';
import { createSdkProcess } from './sdk-process.ts';

// The same suite as for platforms over HTTP, WebSocket and sockets.
describeVendorContract(sdkSample);

const READ = "require('node:readline').createInterface({ input: process.stdin }).on('line', (text) => {";
const REPLY =
  'const { id, method, params } = JSON.parse(text); const say = (x) => console.log(JSON.stringify({ id, ...x }));';

function open(body: string, timeoutMs = 20_000) {
  const sdk = createSdkProcess({
    command: process.execPath,
    args: ['-e', `${READ} ${REPLY} ${body} });`],
    opening: { secret: 'hunter2' },
    timeoutMs,
    logger: pino({ level: 'silent' }),
  });
  onTestFinished(() => sdk.close());
  return (method: string, params: object = {}, signal = new AbortController().signal) =>
    sdk.call(method, params, z.unknown(), signal);
}

describe('the program of an SDK', () => {
  it('that dies costs the calls under way; the next one starts it again', async () => {
    const call = open("if (method === 'die') process.exit(3); say({ result: process.pid });");
    const first = await call('pid');
    expect(await call('pid')).toBe(first);
    await expect(call('die')).rejects.toMatchObject({ code: 'UNREACHABLE', retryable: true });
    expect(await call('pid')).not.toBe(first);
  });

  it('that hangs costs its deadline, and the others are answered', async () => {
    const call = open("if (method !== undefined && method !== 'hang') say({ result: method });", 1_500);
    const hanging = call('hang');
    expect(await call('other')).toBe('other');
    await expect(hanging).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await call('other')).toBe('other');
  });

  it('that babbles is stopped', async () => {
    const call = open("if (method === 'babble') console.log('Segmentation fault'); else say({ result: 1 });");
    await expect(call('babble')).rejects.toMatchObject({ code: 'BAD_PAYLOAD' });
    expect(await call('other')).toBe(1);
  });

  it('is told of a call that was given up', async () => {
    const call = open(
      "const { cancel } = JSON.parse(text); if (cancel) global.gone = cancel; else if (method !== 'slow') say({ result: global.gone ?? null });",
    );
    expect(await call('gone')).toBeNull();
    const stop = new AbortController();
    const slow = call('slow', {}, stop.signal);
    await call('gone');
    stop.abort();
    await expect(slow).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await call('gone')).toEqual(expect.any(Number));
  });

  it('that does not open says why, to every call', async () => {
    const call = open("say({ error: { code: 'UNAUTHENTICATED', message: 'no such user' } });");
    await expect(call('first')).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'no such user' });
    await expect(call('second')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('that is not there is a matter of the settings', async () => {
    const logger = pino({ level: 'silent' });
    const sdk = createSdkProcess({ command: '/nowhere/sdk', args: [], opening: {}, timeoutMs: 5_000, logger });
    await expect(sdk.call('x', {}, z.unknown(), new AbortController().signal)).rejects.toMatchObject({
      code: 'MISCONFIGURED',
    });
    await sdk.close();
  });

  it('is given secrets by a pipe, and nothing of our environment', async () => {
    const call = open(
      "if (method === 'open') global.opening = params; say({ result: { opening: global.opening, told: [process.argv, process.execArgv, process.env] } });",
    );
    const { opening, told } = z.object({ opening: z.unknown(), told: z.unknown() }).parse(await call('see'));
    expect(opening).toEqual({ secret: 'hunter2' });
    expect(JSON.stringify(told)).not.toContain('hunter2');
    expect(JSON.stringify(told)).not.toContain('VITEST');
  });
});
