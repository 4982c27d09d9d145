import { z } from 'zod';
import { invalidInput } from '../../pipeline/integrations/user-errors.ts';
import { hasScope, type Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import type { DirectoryStore } from '../../storage/directory-store.ts';
import type { OrgRow, SiteRow } from '../../storage/rows.ts';
import { forbidden } from '../require-scope.ts';

// Orgs and sites that an operator makes. What the input must be is said here once; the store takes it as it is.

const MAX_NAME = 200;
const MAX_ADDRESS = 500;
const MAX_EXTERNAL_IDS = 20;
const MAX_EXTERNAL_ID = 200;

/** The engines differ in what they do with U+0000; nobody means it. */
const text = (max: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(max, `must have at most ${max} characters`)
    .refine((value) => !value.includes('\0'), 'must not contain U+0000');

function isTimeZone(name: string): boolean {
  // Offsets such as +05:00 are accepted by Intl and are no IANA names.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

const externalIds = z
  .array(z.object({ namespace: text(MAX_EXTERNAL_ID), value: text(MAX_EXTERNAL_ID) }))
  .max(MAX_EXTERNAL_IDS, `must be at most ${MAX_EXTERNAL_IDS}`)
  .refine(
    (ids) => new Set(ids.map(({ namespace, value }) => JSON.stringify([namespace, value]))).size === ids.length,
    'must not repeat an id',
  );

const Org = z.object({
  name: text(MAX_NAME),
  customerRef: text(MAX_NAME).nullish(),
  externalIds: externalIds.nullish(),
});

const Site = z
  .object({
    orgId: z.string(),
    name: text(MAX_NAME),
    address: text(MAX_ADDRESS).nullish(),
    latitude: z.number().min(-90, 'must be -90 to 90').max(90, 'must be -90 to 90').nullish(),
    longitude: z.number().min(-180, 'must be -180 to 180').max(180, 'must be -180 to 180').nullish(),
    timezone: z.string().refine(isTimeZone, 'must be an IANA time zone, for example Europe/Berlin').nullish(),
    externalIds: externalIds.nullish(),
  })
  .refine((site) => (site.latitude ?? null) === null || (site.longitude ?? null) !== null, {
    path: ['longitude'],
    message: 'must be given with latitude',
  })
  .refine((site) => (site.longitude ?? null) === null || (site.latitude ?? null) !== null, {
    path: ['latitude'],
    message: 'must be given with longitude',
  });

export interface CreateOrgPayload {
  readonly org: OrgRow | null;
  readonly userErrors: UserError[];
}

export interface CreateSitePayload {
  readonly site: SiteRow | null;
  readonly userErrors: UserError[];
}

/** @param input as the API's CreateOrgInput */
export async function createOrg(
  store: DirectoryStore,
  principal: Principal,
  input: unknown,
): Promise<CreateOrgPayload> {
  const { access } = principal;
  if (!hasScope(principal, 'admin')) return { org: null, userErrors: [forbidden('This needs the scope admin.')] };
  // Who is limited to certain orgs could not see the one it made.
  if (access.orgIds !== 'all' || access.siteIds !== null) {
    return { org: null, userErrors: [forbidden('A token that is limited to certain orgs or sites creates no orgs.')] };
  }
  const parsed = Org.safeParse(input);
  if (!parsed.success) return { org: null, userErrors: invalidInput(parsed.error) };
  const { name, customerRef, externalIds: ids } = parsed.data;
  return {
    org: await store.createOrg({ name, customerRef: customerRef ?? null, externalIds: ids ?? [] }),
    userErrors: [],
  };
}

/** @param input as the API's CreateSiteInput */
export async function createSite(
  store: DirectoryStore,
  principal: Principal,
  input: unknown,
): Promise<CreateSitePayload> {
  const { access } = principal;
  if (!hasScope(principal, 'integrations:write')) {
    return { site: null, userErrors: [forbidden('This needs the scope integrations:write.')] };
  }
  if (access.siteIds !== null) {
    return { site: null, userErrors: [forbidden('A token that is limited to certain sites creates no sites.')] };
  }
  const parsed = Site.safeParse(input);
  if (!parsed.success) return { site: null, userErrors: invalidInput(parsed.error) };
  const { orgId, name, address, latitude, longitude, timezone, externalIds: ids } = parsed.data;
  const [org] = await store.orgs(access, [orgId]);
  const site =
    org === undefined
      ? null
      : await store.createSite({
          orgId,
          name,
          address: address ?? null,
          coordinates: typeof latitude === 'number' && typeof longitude === 'number' ? { latitude, longitude } : null,
          timezone: timezone ?? null,
          externalIds: ids ?? [],
        });
  if (site !== null) return { site, userErrors: [] };
  const unknown: UserError = { code: 'NOT_FOUND', message: 'There is no such org.', path: ['orgId'], hint: null };
  return { site: null, userErrors: [unknown] };
}
