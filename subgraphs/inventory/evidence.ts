import { z } from 'zod';
import {
  DEVICE_STATES,
  type DeviceState,
  EVIDENCE_SOURCES,
  type EvidenceSource,
  STATUS_REASONS,
  type StatusReason,
} from '../../schema/words.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { toWord } from '../row-words.ts';
import { reference } from './row-values.ts';
import type { Reference } from './model.ts';

/** What one source last said of a device, as the API answers it. */
export interface EvidenceItem {
  readonly source: EvidenceSource;
  readonly integration: Reference | null;
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  readonly observedAt: number;
  readonly receivedAt: number;
  readonly agrees: boolean;
}

const Stored = z.array(
  z.object({
    source: z.string(),
    integrationId: z.string().nullable(),
    state: z.string(),
    reason: z.string().nullable(),
    observedAt: z.number(),
    receivedAt: z.number(),
  }),
);

/** Newest first, as the row keeps it; whether it agrees depends on the status that is in force now. */
export function evidenceOf(row: Pick<DeviceRow, 'evidence' | 'state'>): EvidenceItem[] {
  if (row.evidence === '[]') return [];
  return Stored.parse(JSON.parse(row.evidence)).map(({ source, integrationId, state, reason, ...times }) => ({
    source: toWord(EVIDENCE_SOURCES, source, 'WEBHOOK'),
    integration: reference(integrationId),
    state: toWord(DEVICE_STATES, state, 'UNKNOWN'),
    reason: toWord(STATUS_REASONS, reason, null),
    ...times,
    agrees: state === row.state,
  }));
}
