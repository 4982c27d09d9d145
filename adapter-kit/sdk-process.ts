/**
 * The way to platforms that are reached by a vendor's SDK and not by a protocol: the SDK lives in a program of its own, in
 * whatever language it was made for, and answers calls as lines of JSON. A program that crashes, hangs or babbles costs one
 * call, and not this process.
 *
 * Line in: `{"id":1,"method":"devices","params":{}}`, or `{"cancel":1}`. Line out: `{"id":1,"result":…}` or
 * `{"id":1,"error":{"code":"UNREACHABLE","message":"…"}}`, in any order. The first call is `open`, with address and
 * credentials: they go through a pipe, never through arguments or the environment, which others can read.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { z, type ZodType } from 'zod';
import { abandoned, AdapterError } from './adapter-error.ts';

export interface SdkProcessOptions {
  /** Absolute path of the program. */
  readonly command: string;
  readonly args: readonly string[];
  /** Its whole environment; default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** What `open` is given. */
  readonly opening: Readonly<Record<string, unknown>>;
  /** Of one call, in milliseconds; the start of the program counts. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

export interface SdkProcess {
  /** Starts the program when none runs. @throws AdapterError TIMEOUT, UNREACHABLE, BAD_PAYLOAD, and what the program says */
  call<T>(method: string, params: object, schema: ZodType<T>, signal: AbortSignal): Promise<T>;
  /** Ends the program; calls under way end with UNREACHABLE. */
  close(): Promise<void>;
}

/** One page of a large inventory; a program that never ends its line is stopped. */
const MAX_LINE = 16 * 1024 * 1024;
/** More calls than an adapter makes beside each other; what comes on top would only wait in the program. */
const MAX_UNDER_WAY = 64;
/** How long a program may take to end by itself. */
const END_MS = 2_000;

const Reply = z.object({
  id: z.int(),
  result: z.unknown().optional(),
  error: z
    .object({
      code: z
        .enum(['UNREACHABLE', 'TIMEOUT', 'RATE_LIMITED', 'UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND', 'NOT_SUPPORTED'])
        .catch('NOT_SUPPORTED'),
      message: z.string().max(500),
    })
    .optional(),
});

interface Running {
  readonly child: ChildProcess;
  readonly waiting: Map<number, PromiseWithResolvers<unknown>>;
  readonly opened: Promise<unknown>;
  send(line: object): void;
  request(method: string, params: object): { readonly id: number; readonly answer: Promise<unknown> };
}

export function createSdkProcess(options: SdkProcessOptions): SdkProcess {
  const { command, args, env = {}, opening, timeoutMs, logger } = options;
  let running: Running | null = null;
  let isClosed = false;

  function start(): Running {
    // Nothing of our own environment: it holds our secrets.
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...env } });
    const waiting: Running['waiting'] = new Map();
    let lastId = 0;
    let rest = '';
    let isOver = false;

    function end(error: AdapterError): void {
      isOver = true;
      if (running?.child === child) running = null;
      child.kill('SIGKILL');
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    }

    function take(line: string): void {
      let reply: z.infer<typeof Reply>;
      try {
        reply = Reply.parse(JSON.parse(line));
      } catch {
        end(new AdapterError('BAD_PAYLOAD', 'the program of the SDK wrote what is no reply'));
        return;
      }
      // What was given up may be answered all the same.
      const call = waiting.get(reply.id);
      waiting.delete(reply.id);
      if (reply.error === undefined) call?.resolve(reply.result);
      else call?.reject(new AdapterError(reply.error.code, reply.error.message));
    }

    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
      if (rest.length > MAX_LINE) end(new AdapterError('TOO_LARGE', 'the program of the SDK wrote a line without end'));
    });
    child.stdin.on('error', () => undefined);
    child.on('error', (cause) =>
      end(new AdapterError('MISCONFIGURED', 'the program of the SDK cannot be started', { cause })),
    );
    child.on('exit', (status, by) => {
      if (!isClosed && !isOver)
        logger.warn({ status, signal: by }, 'The program of an SDK ended; the next call starts it again');
      end(new AdapterError('UNREACHABLE', 'the program of the SDK ended'));
    });

    const send = (line: object): void => void child.stdin.write(`${JSON.stringify(line)}\n`);
    function request(method: string, params: object) {
      const id = (lastId += 1);
      const call = Promise.withResolvers<unknown>();
      waiting.set(id, call);
      send({ id, method, params });
      return { id, answer: call.promise };
    }
    const opened = request('open', opening).answer;
    // Whoever waits is told by the same promise; the next call tries anew.
    opened.catch((error: unknown) => end(abandoned(error)));
    return { child, waiting, opened, send, request };
  }

  return {
    async call(method, params, schema, signal) {
      if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
      if (signal.aborted) throw abandoned(signal.reason);
      const own = (running ??= start());
      if (own.waiting.size >= MAX_UNDER_WAY)
        throw new AdapterError('RATE_LIMITED', 'too many calls are under way at the program of the SDK');
      const over = Promise.withResolvers<never>();
      const late = setTimeout(
        () => over.reject(new AdapterError('TIMEOUT', `the SDK did not answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const stop = (): void => over.reject(abandoned(signal.reason));
      signal.addEventListener('abort', stop, { once: true });
      let id: number | null = null;
      try {
        await Promise.race([own.opened, over.promise]);
        const asked = own.request(method, params);
        id = asked.id;
        const result = schema.safeParse(await Promise.race([asked.answer, over.promise]));
        id = null;
        if (result.success) return result.data;
        throw new AdapterError('BAD_PAYLOAD', `the SDK's answer to "${method}" is not of the contract`);
      } finally {
        clearTimeout(late);
        signal.removeEventListener('abort', stop);
        if (id !== null && own.waiting.delete(id)) own.send({ cancel: id });
      }
    },

    async close() {
      isClosed = true;
      const own = running;
      running = null;
      if (own === null) return;
      const gone = once(own.child, 'exit');
      own.child.stdin?.end();
      const late = setTimeout(() => own.child.kill('SIGKILL'), END_MS);
      await gone;
      clearTimeout(late);
    },
  };
}
