// A Modbus/TCP gateway and the units behind it: asked in turn, told of when something changed.
import { setTimeout as wait } from 'node:timers/promises';
import { AdapterError } from '../../../adapter-kit/adapter-error.ts';
import { type Listed, listed, nativeIdOf } from '../catalogue.ts';
import type { Driver, DriverParts } from '../driver.ts';
import type { ModbusSource, SensorSettings } from '../settings.ts';
import { type ModbusConnection, openModbus } from './client.ts';
import { isDeviceGone, ModbusException, type ReadRequest, type Table } from './frames.ts';
import { planReads, valueOf } from './registers.ts';

/** Polls in a row that a unit may fail before it is told to be offline. */
const FAILURES_UNTIL_OFFLINE = 3;
const MAX_UNIT = 255;

interface Answer {
  readonly state: 'online' | 'offline';
  readonly code: string;
  readonly values: Readonly<Record<string, number>>;
}

/** Asks for the first cell when there is no map: that it answers is what is asked. */
function plansOf(sensor: SensorSettings): readonly ReadRequest[] {
  const unit = Number(sensor.address);
  if (!Number.isInteger(unit) || unit < 0 || unit > MAX_UNIT)
    throw new AdapterError('MISCONFIGURED', `the address of a Modbus sensor is its unit, 0 to ${MAX_UNIT}`);
  const plans = planReads(unit, sensor.registers);
  return plans.length > 0 ? plans : [{ unit, table: 'holding', address: 0, count: 1 }];
}

async function ask(connection: ModbusConnection, sensor: SensorSettings, signal: AbortSignal): Promise<Answer> {
  const cells = new Map<string, number>();
  try {
    for (const plan of plansOf(sensor)) {
      const values = await connection.read(plan, signal);
      for (const [index, value] of values.entries()) cells.set(`${plan.table} ${plan.address + index}`, value);
    }
  } catch (error) {
    if (!(error instanceof ModbusException)) throw error;
    // It speaks, and what we ask for is not there: the map is wrong, not the unit.
    return { state: isDeviceGone(error.code) ? 'offline' : 'online', code: `exception ${error.code}`, values: {} };
  }
  const at = (table: Table, address: number): number | undefined => cells.get(`${table} ${address}`);
  const values = sensor.registers.flatMap((register) => {
    const value = valueOf(register, at);
    return value === undefined ? [] : [[register.name, value] as const];
  });
  return { state: 'online', code: 'answers', values: Object.fromEntries(values) };
}

export function createModbusDriver(source: ModbusSource, { catalogue, connections }: DriverParts): Driver {
  const sensors = catalogue.sensorsOf(source.id);
  const { timeoutMs } = catalogue.settings;

  function gateway(): Listed {
    const url = connections.urlOf(source);
    return listed({
      source,
      address: url.host,
      nativeId: source.id,
      siteId: catalogue.siteOf(source),
      name: source.name ?? source.id,
      protocol: 'modbus',
      vendorType: 'gateway',
      isGateway: true,
      host: url.hostname,
      presence: 'online',
      word: 'answers',
    });
  }

  function unit(sensor: SensorSettings, answer: Answer | null): Listed {
    return listed({
      ...catalogue.at(source, sensor.address),
      parentId: source.id,
      protocol: 'modbus',
      vendorType: sensor.kind ?? 'unit',
      presence: answer?.state ?? 'unknown',
      word: answer?.code ?? null,
    });
  }

  return {
    source,
    fallen: (code) => ({
      device: { ...gateway(), presence: 'offline', word: code },
      children: sensors.map((sensor) => ({ ...unit(sensor, null), word: 'parent offline', isParentDown: true })),
    }),
    async survey(wanted, signal) {
      // A gateway that takes connections may be all that works of it: to be reachable is to answer.
      const asked =
        wanted?.size === 0
          ? sensors.slice(0, 1)
          : sensors.filter((sensor) => wanted === null || wanted.has(nativeIdOf(source.id, sensor.address)));
      const connection = await openModbus(connections.clientOf(source), timeoutMs, signal);
      try {
        const units: Listed[] = [];
        for (const sensor of asked) units.push(unit(sensor, await ask(connection, sensor, signal)));
        return [gateway(), ...units];
      } finally {
        connection.end();
      }
    },
    async listen(sink, onUp, signal) {
      const connection = await openModbus(connections.clientOf(source), timeoutMs, signal);
      const failures = new Map<string, number>();
      let isInitial = true;
      /** Only after an answer: some gateways take connections and are dead behind them. */
      const tellUp = async (): Promise<void> => {
        onUp();
        const children = sensors.map((sensor) => unit(sensor, null));
        const payload = Buffer.from(JSON.stringify({ state: 'online', code: 'answers' }));
        await sink.deliver({
          dialect: 'connection',
          sourceId: source.id,
          address: source.id,
          device: gateway(),
          payload,
          children,
        });
      };
      try {
        while (!signal.aborted) {
          for (const sensor of sensors) {
            const answer = await ask(connection, sensor, signal);
            const failed = answer.state === 'offline' ? (failures.get(sensor.address) ?? 0) + 1 : 0;
            failures.set(sensor.address, failed);
            if (failed > 0 && failed < FAILURES_UNTIL_OFFLINE) continue;
            const arrival = {
              dialect: 'modbus',
              sourceId: source.id,
              address: `unit ${sensor.address}`,
              device: unit(sensor, answer),
              isInitial,
            } as const;
            await sink.deliver({ ...arrival, payload: Buffer.from(JSON.stringify(answer)) });
          }
          if (isInitial) await tellUp();
          isInitial = false;
          await wait(source.pollMs, undefined, { signal });
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        connection.end();
      }
    },
    close: () => undefined,
  };
}
