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

const Stored = z.object({
  source: z.string(),
  integrationId: z.string().nullable(),
  state: z.string(),
  reason: z.string().nullable(),
  observedAt: z.number(),
  receivedAt: z.number(),
});

/**
 * Newest first, as the row keeps it; whether it agrees depends on the status that is in force now. What another release
 * may have written in another shape is passed over.
 */
export function evidenceOf(row: Pick<DeviceRow, 'evidence' | 'state'>): EvidenceItem[] {
  if (row.evidence === '[]') return [];
  const list: unknown = JSON.parse(row.evidence);
  if (!Array.isArray(list)) return [];
  return list.flatMap((each) => {
    const stored = Stored.safeParse(each);
    if (!stored.success) return [];
    const { source, integrationId, state, reason, observedAt, receivedAt } = stored.data;
    return {
      source: toWord(EVIDENCE_SOURCES, source, 'WEBHOOK'),
      // Empty: we ourselves.
      integration: reference(integrationId === '' ? null : integrationId),
      state: toWord(DEVICE_STATES, state, 'UNKNOWN'),
      reason: toWord(STATUS_REASONS, reason, null),
      observedAt,
      receivedAt,
      agrees: state === row.state,
    };
  });
}
