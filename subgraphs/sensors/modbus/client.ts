// One connection to a Modbus/TCP gateway: one question at a time, as such gateways want it.
import type { Socket } from 'node:net';
import { abandoned, AdapterError } from '../../../adapter-kit/adapter-error.ts';
import type { HttpClient } from '../../../adapter-kit/http/http-client.ts';
import {
  decodeAnswer,
  encodeRequest,
  type Frame,
  MAX_FRAME,
  ModbusException,
  type ReadRequest,
  takeFrame,
} from './frames.ts';

/** Exception 6: busy, ask again. */
const BUSY = 6;
const MAX_BUSY = 3;
const MAX_TRANSACTION = 0xffff;

export interface ModbusConnection {
  /** @throws ModbusException when the unit refuses; AdapterError when the connection is of no use any more */
  read(request: ReadRequest, signal: AbortSignal): Promise<readonly number[]>;
  readonly isOpen: () => boolean;
  end(): void;
}

/** @throws AdapterError */
export async function openModbus(http: HttpClient, timeoutMs: number, signal: AbortSignal): Promise<ModbusConnection> {
  const socket: Socket = await http.socket({ signal, timeoutMs });
  socket.setNoDelay(true);
  let buffered = Buffer.alloc(0);
  let transaction = 0;
  let waiting: {
    readonly transaction: number;
    readonly resolve: (frame: Frame) => void;
    readonly reject: (error: AdapterError) => void;
  } | null = null;

  function fail(error: AdapterError): void {
    const asked = waiting;
    waiting = null;
    socket.destroy();
    asked?.reject(error);
  }

  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    try {
      for (let frame = takeFrame(buffered); frame !== null; frame = takeFrame(buffered)) {
        buffered = buffered.subarray(frame.size);
        // A late answer to a question that was given up is nobody's.
        if (waiting === null || frame.transaction !== waiting.transaction) continue;
        const asked = waiting;
        waiting = null;
        asked.resolve(frame);
      }
      if (buffered.length > MAX_FRAME) throw new RangeError('more than a frame');
    } catch {
      fail(new AdapterError('BAD_PAYLOAD', 'what the gateway sends is no Modbus'));
    }
  });
  socket.on('close', () => fail(new AdapterError('UNREACHABLE', 'the gateway ended the connection')));

  async function ask(request: ReadRequest, patience: AbortSignal): Promise<readonly number[]> {
    if (waiting !== null) throw new AdapterError('UNREACHABLE', 'the gateway is asked one thing at a time');
    if (socket.destroyed) throw new AdapterError('UNREACHABLE', 'the connection is over');
    if (patience.aborted) throw abandoned(patience.reason);
    transaction = (transaction % MAX_TRANSACTION) + 1;
    const { promise, resolve, reject } = Promise.withResolvers<Frame>();
    waiting = { transaction, resolve, reject };
    // What was asked may still be answered: only a new connection is sure to answer the next question.
    const abort = (): void => fail(abandoned(patience.reason));
    const timer = setTimeout(
      () => fail(new AdapterError('TIMEOUT', `the gateway did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    patience.addEventListener('abort', abort, { once: true });
    try {
      socket.write(encodeRequest(transaction, request));
      const { unit, pdu } = await promise;
      if (unit !== request.unit) throw new RangeError('another unit answered');
      return decodeAnswer(request, pdu);
    } catch (error) {
      if (error instanceof AdapterError || error instanceof ModbusException) throw error;
      throw new AdapterError('BAD_PAYLOAD', 'the gateway answered something else');
    } finally {
      clearTimeout(timer);
      patience.removeEventListener('abort', abort);
    }
  }

  return {
    isOpen: () => !socket.destroyed,
    end: () => socket.destroy(),
    async read(request, patience) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await ask(request, patience);
        } catch (error) {
          if (!(error instanceof ModbusException) || error.code !== BUSY || attempt === MAX_BUSY) throw error;
        }
      }
    },
  };
}
