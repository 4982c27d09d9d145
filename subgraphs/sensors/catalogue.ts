// What the settings say about sources, sites and sensors, ready to be looked up.
import type { KnownDevice } from './reading.ts';
import type { SensorSettings, SensorsSettings, Source } from './settings.ts';
import type { SensorKind } from './words.ts';

export interface Catalogue {
  readonly settings: SensorsSettings;
  readonly source: (id: string) => Source | undefined;
  readonly sensor: (sourceId: string, address: string) => SensorSettings | undefined;
  readonly sensorsOf: (sourceId: string) => readonly SensorSettings[];
  /** The site of something behind a source; `part` is that of a base, group or prefix. */
  readonly siteOf: (source: Source, sensor?: SensorSettings, part?: string) => string;
  /** What is known of everything behind a source: what the operator typed for it, its native id and its site. */
  readonly at: (source: Source, address: string, part?: string) => Place;
}

export type Place = Pick<Listed, 'source' | 'sensor' | 'address' | 'nativeId' | 'siteId'>;

const catalogues = new WeakMap<SensorsSettings, Catalogue>();

/** One per settings: decoding asks for it with every message. */
export function catalogueOf(settings: SensorsSettings): Catalogue {
  const known = catalogues.get(settings);
  if (known !== undefined) return known;
  const sources = new Map(settings.sources.map((source) => [source.id, source]));
  const sensors = new Map(settings.sensors.map((sensor) => [nativeIdOf(sensor.source, sensor.address), sensor]));
  const bySource = Map.groupBy(settings.sensors, ({ source }) => source);
  const first = settings.sites[0]?.id ?? '';
  const siteOf: Catalogue['siteOf'] = (source, sensor, part) => sensor?.site ?? part ?? source.site ?? first;
  const made: Catalogue = {
    settings,
    source: (id) => sources.get(id),
    sensor: (sourceId, address) => sensors.get(nativeIdOf(sourceId, address)),
    sensorsOf: (sourceId) => bySource.get(sourceId) ?? [],
    siteOf,
    at(source, address, part) {
      const nativeId = nativeIdOf(source.id, address);
      const sensor = sensors.get(nativeId);
      return { source, sensor: sensor ?? null, address, nativeId, siteId: siteOf(source, sensor, part) };
    },
  };
  catalogues.set(settings, made);
  return made;
}

/** What is behind a source is named by the source and its address there: stable over rename and change of host. */
export function nativeIdOf(sourceId: string, address: string | null): string {
  return address === null ? sourceId : `${sourceId}/${address}`;
}

/** @returns the source's id in a native id, for any protocol */
export function sourceIdOf(nativeId: string): string {
  const slash = nativeId.indexOf('/');
  return slash === -1 ? nativeId : nativeId.slice(0, slash);
}

/** A device as a listing of its source tells it. */
export interface Listed extends KnownDevice {
  readonly source: Source;
  readonly address: string;
  /** `BRIDGE`: other devices report through it. */
  readonly isGateway: boolean;
  readonly parentId: string | null;
  readonly vendorType: string;
  /** The platform's word for its presence; null: it does not say. */
  readonly word: string | null;
  /** Presence in our word; unknown when it does not say. */
  readonly presence: 'online' | 'offline' | 'unknown';
  /** It is only unreachable because its parent is. */
  readonly isParentDown: boolean;
  readonly protocol: string;
  readonly topic: string | null;
  readonly sensor: SensorSettings | null;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
  readonly serialNumber: string | null;
  readonly externalIds: readonly { readonly namespace: string; readonly value: string }[];
  readonly host: string | null;
}

type Draft = Pick<Listed, 'source' | 'address' | 'nativeId' | 'siteId' | 'protocol' | 'vendorType'> & Partial<Listed>;

/** With everything that a source does not tell left out, and what the operator typed on top. */
export function listed(draft: Draft): Listed {
  const sensor = draft.sensor ?? null;
  return {
    isGateway: false,
    parentId: null,
    word: null,
    presence: 'unknown',
    isParentDown: false,
    topic: null,
    externalIds: [],
    host: null,
    firmware: null,
    ...draft,
    sensor,
    name: sensor?.name ?? draft.name ?? draft.address,
    kind: sensor?.kind ?? draft.kind ?? null,
    manufacturer: sensor?.manufacturer ?? draft.manufacturer ?? null,
    model: sensor?.model ?? draft.model ?? null,
    serialNumber: sensor?.serialNumber ?? draft.serialNumber ?? null,
  };
}

/** The part of it that messages carry. */
export function knownOf({ nativeId, siteId, name, kind }: KnownDevice): KnownDevice {
  return { nativeId, siteId, name, kind };
}

export function kindText(kind: SensorKind | null): string {
  return kind ?? 'sensor';
}
