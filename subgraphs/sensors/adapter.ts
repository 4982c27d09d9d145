import type { Adapter } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import type { DevicePage, LiveDevice } from '../../adapter-kit/model.ts';
import { catalogueOf, type Listed } from './catalogue.ts';
import { createConnections } from './client.ts';
import type { Driver, DriverParts } from './driver.ts';
import { listen } from './listen.ts';
import { createModbusDriver } from './modbus/driver.ts';
import { createMqttDriver } from './mqtt/driver.ts';
import { isTimezone, normalizeDevice, normalizeLive, normalizeSite } from './normalize.ts';
import { createOnvifDriver } from './onvif/driver.ts';
import { probe } from './probe.ts';
import { createPushDriver } from './push-driver.ts';
import type { SensorsSettings, Source } from './settings.ts';
import { driversOf, surveyAll, type Surveyed } from './surveys.ts';

/** Devices of one page of a listing. */
const PAGE = 500;

function driverOf(source: Source, parts: DriverParts): Driver {
  switch (source.protocol) {
    case 'mqtt':
      return createMqttDriver(source, parts);
    case 'onvif':
      return createOnvifDriver(source, parts);
    case 'modbus':
      return createModbusDriver(source, parts);
    case 'http':
      return createPushDriver(source, parts);
    default:
      return source satisfies never;
  }
}

/** Speaks to every source of one list of sensors. */
export function createSensorsAdapter(options: AdapterOptions<SensorsSettings>): Adapter {
  const { integrationId, settings, logger, now } = options;
  const catalogue = catalogueOf(settings);
  const connections = createConnections(options);
  const parts: DriverParts = { integrationId, catalogue, connections, logger, now };
  const drivers = settings.sources.map((source) => driverOf(source, parts));
  const lastReadings = new Map<string, unknown>();
  const failures = new Map<string, number>();
  let isClosed = false;

  const hasLogin = ({ source }: Driver): boolean => connections.loginOf(source) !== null && connections.hasHost(source);

  async function survey(
    asked: readonly Driver[],
    wanted: ReadonlySet<string> | null,
    signal: AbortSignal,
  ): Promise<readonly Surveyed[]> {
    if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
    return surveyAll(asked, hasLogin, wanted, signal);
  }

  const live = (device: Listed, checkedAt: Date): LiveDevice =>
    normalizeLive(device, lastReadings.get(device.nativeId), checkedAt);

  return {
    probe: (signal) => probe(drivers, connections, hasLogin, signal),

    async listSites(signal) {
      await survey(drivers, new Set(), signal);
      return settings.sites.map((site) => {
        const known = site.timezone !== undefined && isTimezone(site.timezone);
        const draft = normalizeSite(site, null);
        return known ? draft : { ...draft, timezone: null };
      });
    },

    async *listDevices(signal) {
      const found = await survey(drivers, null, signal);
      const devices = found.flatMap((each) => each.devices ?? []).map(normalizeDevice);
      const broken = found.find((each) => each.devices === null);
      for (let from = 0; from < devices.length; from += PAGE) {
        const page: DevicePage = { devices: devices.slice(from, from + PAGE) };
        yield broken === undefined ? { ...page, totalCount: devices.length } : page;
      }
      // What only that source knows is missing: this is no complete list.
      if (broken !== undefined && broken.error !== null) throw broken.error;
    },

    async readDevices(refs, signal) {
      if (refs.length === 0) return new Map();
      const wanted = new Set(refs.map(({ nativeId }) => nativeId));
      const asked = driversOf(drivers, wanted);
      if (asked.length === 0) return new Map();
      const found = await survey(asked, wanted, signal);
      const checkedAt = now();
      const devices = found.flatMap((each) => each.devices ?? []).filter(({ nativeId }) => wanted.has(nativeId));
      return new Map(devices.map((device) => [device.nativeId, live(device, checkedAt)]));
    },

    async readPlatform(signal) {
      await survey(drivers, new Set(), signal);
      const gateways = settings.sources.map(({ id, name }) => ({ id, name: name ?? null }));
      return { version: null, checkedAt: now(), extras: { gateways } };
    },

    async pageDevices(first, after, signal) {
      const found = await survey(drivers, null, signal);
      const devices = found.flatMap((each) => each.devices ?? []);
      const from = after === null ? 0 : devices.findIndex(({ nativeId }) => nativeId === after) + 1;
      if (after !== null && from === 0)
        throw new AdapterError('NOT_FOUND', 'the list has changed: start again without a cursor');
      const checkedAt = now();
      const page = devices.slice(from, from + first);
      const last = page.at(-1);
      return {
        devices: page.map((device) => live(device, checkedAt)),
        next: last !== undefined && from + first < devices.length ? last.nativeId : null,
      };
    },

    listen: (resumeToken, signal) => listen({ ...parts, drivers, lastReadings, failures }, resumeToken, signal),

    async close() {
      isClosed = true;
      for (const driver of drivers) driver.close();
      await connections.close();
    },
  };
}
