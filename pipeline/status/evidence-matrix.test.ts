import { expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { DeviceState, EvidenceSource } from '../../schema/words.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { NOON, seed } from '../testing.ts';
import { parseEvidence } from './evidence.ts';

const SOURCES = ['WEBHOOK', 'POLL', 'SUPERVISION'] as const satisfies readonly EvidenceSource[];
const STATES = ['ONLINE', 'OFFLINE', 'DEGRADED'] as const satisfies readonly DeviceState[];
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/** What three sources say of a device, the first of them of the earliest instant. */
const CASES = STATES.flatMap((first) => STATES.flatMap((second) => STATES.map((third) => [first, second, third])));

eachEngine('sources that contradict each other', (open) => {
  it.each(ORDERS)(
    'leave the state to the newest word and each its own, when they come as %i %i %i',
    async (...order) => {
      const db = await open();
      const names = CASES.map((states) => states.join('-'));
      const { integration } = await seed(db, { devices: names });
      const events = createEventWriter({ db });
      for (const at of order) {
        const drafts = CASES.map((states, number): EventDraft => {
          const state = states[at] ?? 'UNKNOWN';
          return {
            vendorEventId: null,
            family: 'HEALTH',
            type: `health.${state.toLowerCase()}`,
            vendorCode: null,
            severity: 'NOTICE',
            occurredAt: new Date(NOON + at),
            nativeOrgId: null,
            nativeSiteId: null,
            nativeDeviceId: names[number] ?? null,
            claim: { state, reason: null, vendorState: null, observedAt: null },
            isLifeSign: state === 'ONLINE',
            summary: state,
            details: {},
            raw: null,
          };
        });
        const source = SOURCES[at] ?? 'OPERATOR';
        await db.write((tx) => events.writeEvents(tx, integration, drafts, source, NOON + 1_000));
      }
      const rows = await db.read.selectFrom('devices').selectAll().execute();
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const [number, states] of CASES.entries()) {
        const row = byId.get(deviceId(integration.id, names[number] ?? ''));
        const words = parseEvidence(row?.evidence ?? '').map(({ source, state, observedAt }) => [
          source,
          state,
          observedAt,
        ]);
        expect([row?.state, words]).toEqual([states[2], [2, 1, 0].map((at) => [SOURCES[at], states[at], NOON + at])]);
      }
    },
  );
});
