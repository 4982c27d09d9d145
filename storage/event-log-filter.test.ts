import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AccessScope } from '../schema/principal.ts';
import { type DeviceType, EVENT_FAMILIES, SEVERITIES } from '../schema/words.ts';
import { insertEvents, readSelection } from './event-log.ts';
import { type EventFilter, eventPredicate } from './event-log-filter.ts';
import type { EventRow } from './rows.ts';
import { deviceRow, insertFixture, integrationRow, orgRow } from './fixtures/directory-rows.ts';
import { eachEngine } from './testing.ts';
import { EVENT_DEFAULTS } from './fixtures/column-defaults.ts';

const ORGS = ['org_a', 'org_b'];
const SITES = ['site_1', 'site_2', 'site_3'];
const DEVICES = ['dev_1', 'dev_2', 'dev_3'];
/** The third device is not in the store. */
const DEVICE_TYPES: ReadonlyMap<string, DeviceType> = new Map([
  ['dev_1', 'CAMERA'],
  ['dev_2', 'DETECTOR'],
]);
const INTEGRATIONS = ['int_1', 'int_2'];
const TYPES = ['access.granted', 'access.door.forced', 'Access.granted', 'access', 'accessory.x', 'häuser.%_', "it's"];
const ACTORS = ['person', 'car', 'a"b', "o'clock", ''];

const some = <T>(values: readonly T[]) => fc.subarray([...values]);
/** Absent three times out of four: filters with every member match nothing, which proves little. */
const maybe = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

const rarely = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) });

const row = fc
  .record({
    org_id: fc.constantFrom(...ORGS),
    site_id: fc.option(fc.constantFrom(...SITES)),
    device_id: fc.option(fc.constantFrom(...DEVICES)),
    integration_id: fc.constantFrom(...INTEGRATIONS),
    family: fc.constantFrom(...EVENT_FAMILIES),
    type: fc.constantFrom(...TYPES),
    severity: fc.integer({ min: 0, max: 3 }),
    occurred_at: fc.integer({ min: 0, max: 10 }),
    actors: maybe(some(ACTORS)),
    changed: fc.integer({ min: 0, max: 1 }),
    in_maintenance: rarely,
    suppressed: rarely,
    kept: fc.option(fc.constantFrom('CAMERA', 'PANEL')),
  })
  .map(({ actors, kept, ...rest }) => ({
    ...rest,
    device_type: rest.device_id === null ? null : kept,
    details: JSON.stringify(actors === undefined ? {} : { actors: actors.map((kind) => ({ kind, confidence: 0.5 })) }),
  }));

const filter: fc.Arbitrary<EventFilter> = fc.record({
  orgId: maybe(fc.constantFrom(...ORGS, 'org_none')),
  siteIds: maybe(some(SITES)),
  deviceIds: maybe(some(DEVICES)),
  deviceTypes: maybe(some([...DEVICE_TYPES.values(), 'PANEL' as const, 'SIREN' as const])),
  integrationIds: maybe(some(INTEGRATIONS)),
  families: maybe(some(EVENT_FAMILIES)),
  types: maybe(some([...TYPES, 'access.*', 'häuser.*', '.*', 'access.door.*', '*'])),
  minSeverity: maybe(fc.constantFrom(...SEVERITIES)),
  actors: maybe(some(ACTORS)),
  occurredAt: maybe(
    fc.record({ gte: maybe(fc.integer({ min: 0, max: 10 })), lt: maybe(fc.integer({ min: 0, max: 10 })) }),
  ),
  includeMaintenance: maybe(fc.boolean()),
  includeSuppressed: maybe(fc.boolean()),
});

const access: fc.Arbitrary<AccessScope> = fc.record({
  orgIds: fc.oneof(fc.constant('all' as const), some(ORGS)),
  siteIds: fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: some(SITES) }),
});

eachEngine('event filter', (open) => {
  it('chooses the same rows in SQL as in memory', async () => {
    const db = await open();
    const rows = fc.sample(row, { numRuns: 400, seed: 6 }).map(
      (fields, at): EventRow => ({
        seq: at + 1,
        key: Buffer.from(String(at).padStart(16, '0')),
        inbox_id: null,
        received_at: 0,
        clock_skew_ms: null,
        late: 0,
        vendor_event_id: null,
        vendor_code: null,
        origin: 'WEBHOOK',
        summary: '',
        state: null,
        previous_state: null,
        state_reason: null,
        media: '[]',
        raw: null,
        ...EVENT_DEFAULTS,
        ...fields,
      }),
    );
    const integration = integrationRow('int_1', 'org_a');
    const devices = [...DEVICE_TYPES].map(([id, type]) => deviceRow(integration, id, { id, type }));
    await insertFixture(db, { orgs: [orgRow('org_a')], integrations: [integration], devices });
    await db.write((tx) => insertEvents(db, tx, rows));
    // Rows of before there was the column: what the device is now is what it was.
    const logged = rows.map((each) => ({
      ...each,
      device_type: each.device_type ?? DEVICE_TYPES.get(each.device_id ?? '') ?? null,
    }));
    let chosen = 0;
    await fc.assert(
      fc.asyncProperty(access, filter, async (scope, wanted) => {
        const span = { after: 0, upTo: rows.length, limit: rows.length };
        const found = await readSelection(db, { access: scope, filter: wanted }, span);
        const expected = logged.filter(eventPredicate(scope, wanted));
        chosen += expected.length;
        expect(found.map(({ seq }) => seq)).toEqual(expected.map(({ seq }) => seq));
      }),
      { numRuns: 300 },
    );
    expect(chosen).toBeGreaterThan(300);
  });
});
