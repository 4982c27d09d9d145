import { z } from 'zod';
import { parsePageArgs } from '../../storage/connection.ts';
import type { DeviceFilter } from '../../storage/inventory-store-filter.ts';
import type { DeviceListArgs, DeviceOrder, DeviceOrderField } from '../../storage/inventory-store-list.ts';
import type { InventoryChanges } from '../../storage/inventory-store-changes.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import type { StubVendor } from './context.ts';
import { BY_NAME, type Reference, type SourceStub } from './model.ts';

// Rows keep lists and readings as JSON; what a resolver answers with is made here.

const Texts = z.array(z.string());
const StoredTelemetry = z.object({
  batteryPercent: z.number().optional(),
  signal: z.number().optional(),
  signalUnit: z.string().optional(),
  armed: z.boolean().optional(),
  auxPower: z.boolean().optional(),
  recording: z.boolean().optional(),
  storageFreePercent: z.number().optional(),
  observedAt: z.number(),
});
const StoredErrors = z.array(
  z.object({
    code: z.enum([
      'NOT_FOUND',
      'INVALID',
      'CONFLICT',
      'FORBIDDEN',
      'UNREACHABLE',
      'UNAUTHENTICATED_AT_PLATFORM',
      'RATE_LIMITED',
      'TIMEOUT',
      'NOT_SUPPORTED',
      'EXPIRED',
      'OTHER',
    ]),
    message: z.string(),
    path: z.array(z.string()).nullable(),
    hint: z.string().nullable(),
  }),
);

/** @param json a list of texts, as rows keep it */
export function parseTexts(json: string): string[] {
  return json === '[]' ? [] : Texts.parse(JSON.parse(json));
}

export function parseErrors(json: string): z.infer<typeof StoredErrors> {
  return json === '[]' ? [] : StoredErrors.parse(JSON.parse(json));
}

export interface TelemetryValue {
  readonly batteryPercent: number | null;
  readonly signal: number | null;
  readonly signalUnit: string | null;
  readonly armed: boolean | null;
  readonly auxPower: boolean | null;
  readonly recording: boolean | null;
  readonly storageFreePercent: number | null;
  readonly observedAt: number;
}

export function parseTelemetry(json: string | null): TelemetryValue | null {
  if (json === null) return null;
  const stored = StoredTelemetry.parse(JSON.parse(json));
  return {
    batteryPercent: stored.batteryPercent === undefined ? null : Math.round(stored.batteryPercent),
    signal: stored.signal ?? null,
    signalUnit: stored.signalUnit ?? null,
    armed: stored.armed ?? null,
    auxPower: stored.auxPower ?? null,
    recording: stored.recording ?? null,
    storageFreePercent: stored.storageFreePercent ?? null,
    observedAt: stored.observedAt,
  };
}

export function reference(id: string | null): Reference | null {
  return id === null ? null : { id };
}

/** Null for a vendor that is not part of this deployment, or that only pushes: nobody could resolve the rest. */
export function sourceStub(vendors: readonly StubVendor[], row: DeviceRow): SourceStub | null {
  const vendor = vendors.find(({ slug }) => slug === row.vendor);
  if (vendor === undefined || vendor.ingest?.pushOnly === true) return null;
  return { __typename: `${vendor.graphqlName}Device`, integrationId: row.integration_id, nativeId: row.native_id };
}

interface ListInput {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly filter?: DeviceFilter | null | undefined;
  readonly orderBy?:
    | { readonly field: DeviceOrderField; readonly direction?: DeviceOrder['direction'] }
    | null
    | undefined;
  readonly search?: string | null | undefined;
}

/** @throws GraphQLError PAGE_TOO_LARGE or BAD_USER_INPUT */
export function listArgs({ first, after, filter, orderBy, search }: ListInput): DeviceListArgs {
  return {
    page: parsePageArgs(first, after),
    order: orderBy ? { field: orderBy.field, direction: orderBy.direction ?? 'ASC' } : BY_NAME,
    filter: filter ?? null,
    search: search ?? null,
  };
}

/** Unlike other lists this one tells where to go on from an empty page, too. */
export function changesPageInfo(list: InventoryChanges): {
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  startCursor: string | null;
  endCursor: string;
} {
  const [start] = list.changes;
  return {
    hasNextPage: list.hasNextPage,
    hasPreviousPage: list.hasPreviousPage,
    startCursor: start === undefined ? null : start.cursor(),
    endCursor: list.endCursor,
  };
}
