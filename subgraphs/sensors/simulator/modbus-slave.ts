// A Modbus/TCP gateway on loopback with units behind it: bits and registers that a test sets.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { takeFrame } from '../modbus/frames.ts';
import { listenOn } from './broker.ts';
import type { FaultBoard } from './faults.ts';

const TABLES = ['coil', 'discrete', 'holding', 'input'] as const;
type Table = (typeof TABLES)[number];

export interface ModbusSlave {
  readonly port: number;
  readonly calls: () => number;
  set(unit: number, table: Table, address: number, value: number): void;
  /** A unit that is off: the gateway answers for it with exception 0x0B. */
  setUnit(unit: number, isOn: boolean): void;
  setDown(isDown: boolean): void;
  close(): Promise<void>;
}

export async function startModbusSlave(port: number, board: FaultBoard): Promise<ModbusSlave> {
  const cells = new Map<string, number>();
  const off = new Set<number>();
  const sockets = new Set<Socket>();
  let calls = 0;
  let isDown = false;
  let exceptions = 0;

  function answer(unit: number, pdu: Buffer): Buffer {
    const code = pdu.readUInt8(0);
    const exception = (number: number): Buffer => Buffer.from([code | 0x80, number]);
    const table = TABLES[code - 1];
    // It reads and nothing else, as the panels that we know let us.
    if (table === undefined || pdu.length !== 5) return exception(1);
    const { modbusException, modbusTimes } = board.current;
    if (modbusException !== null && (modbusTimes === null || exceptions < modbusTimes)) {
      exceptions += 1;
      return exception(modbusException);
    }
    if (modbusException === null) exceptions = 0;
    if (off.has(unit)) return exception(0x0b);
    const address = pdu.readUInt16BE(1);
    const count = pdu.readUInt16BE(3);
    if (count < 1 || count > (code <= 2 ? 2_000 : 125)) return exception(3);
    const values = Array.from({ length: count }, (_, index) => cells.get(`${unit} ${table} ${address + index}`) ?? 0);
    const bytes = Buffer.alloc(code <= 2 ? Math.ceil(count / 8) : count * 2);
    for (const [index, value] of values.entries()) {
      if (code > 2) bytes.writeUInt16BE(value, index * 2);
      else if (value !== 0) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (1 << (index & 7));
    }
    return Buffer.concat([Buffer.from([code, bytes.length]), bytes]);
  }

  const server = await listenOn(port, (socket) => {
    if (isDown) return void socket.destroy();
    sockets.add(socket);
    let buffered = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      try {
        for (let frame = takeFrame(buffered); frame !== null; frame = takeFrame(buffered)) {
          buffered = buffered.subarray(frame.size);
          calls += 1;
          if (board.current.modbusSilent) continue;
          const pdu = answer(frame.unit, frame.pdu);
          const header = Buffer.alloc(7);
          header.writeUInt16BE(frame.transaction, 0);
          header.writeUInt16BE(pdu.length + 1, 4);
          header.writeUInt8(frame.unit, 6);
          socket.write(Buffer.concat([header, pdu]));
        }
      } catch {
        socket.destroy();
      }
    });
  });
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    calls: () => calls,
    set: (unit, table, at, value) => void cells.set(`${unit} ${table} ${at}`, value),
    setUnit: (unit, isOn) => void (isOn ? off.delete(unit) : off.add(unit)),
    setDown(down) {
      isDown = down;
      if (down) for (const socket of sockets) socket.destroy();
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
