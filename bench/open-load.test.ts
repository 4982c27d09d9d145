import { createServer } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { runOpenLoad } from './open-load.ts';

it('sends as much as each phase says, one phase after the other, and counts what was answered how', async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      requests += 1;
      const status = requests % 4 === 0 ? 503 : requests % 10 === 1 ? 400 : 202;
      response.writeHead(status, { 'content-length': 0, ...(status === 503 ? { 'retry-after': '1' } : {}) }).end();
    });
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(Number(Object(server.address()).port)));
  });
  const due: number[] = [];
  const load = { port, connections: 4, perSecond: 500, ms: 60, then: [{ perSecond: 5_000, ms: 40 }] };
  const result = await runOpenLoad(load, (dueAt) => {
    due.push(dueAt);
    return Buffer.from('POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n');
  });
  const [first = 0] = due;
  const calm = due.filter((at) => at < first + 60).length;
  expect(calm).toBe(30);
  expect(due.length - calm).toBe(200);
  expect(result).toMatchObject({ sent: 230, deferred: 57, lost: 0 });
  expect(result.accepted + result.bad).toBe(173);
  expect(result.bad).toBeGreaterThan(0);
});
