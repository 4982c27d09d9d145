import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { EventWriter } from './event-writer.ts';
import { systemDraft } from './system-draft.ts';

/** Clocks that are kept by NTP differ by far less; one second of it is how coarse the senders' timestamps are. */
export const MAX_SKEW_MS = 2_000;
/** Batches in a row that must agree: one delivery that was held up on its way says nothing about a clock. */
export const AGREEING_BATCHES = 3;
/** Integrations whose batches are counted; the least recently heard ones begin anew. */
const MAX_COUNTED = 10_000;

/** One delivery's word on its sender's clock. Instants are milliseconds since the epoch. */
export interface ClockSample {
  readonly receivedAt: number;
  /** When it was sent, by the sender's clock; null when it does not tell. */
  readonly sentAt: number | null;
  /** When its events happened, by the same clock. */
  readonly occurredAt: readonly number[];
}

/**
 * How far the sender's clock is behind ours: positive when it is slow. What is sent takes time, so that only the fastest
 * delivery tells; what happened may have happened long ago, so that events tell of a fast clock only.
 *
 * @returns null when nobody can tell
 */
export function observedSkew(samples: readonly ClockSample[]): number | null {
  const sent = samples.flatMap(({ receivedAt, sentAt }) => (sentAt === null ? [] : [receivedAt - sentAt]));
  const ahead = samples
    .flatMap(({ receivedAt, occurredAt }) => occurredAt.map((at) => receivedAt - at))
    .filter((skew) => skew < 0);
  const all = [...sent, ...ahead];
  return all.length === 0 ? null : all.reduce((least, skew) => Math.min(least, skew));
}

export interface SourceClocks {
  /** Compares a batch's senders with our clock; says it once when a clock goes wrong, and once when it is right again. */
  note(tx: Tx, integration: IntegrationRow, samples: readonly ClockSample[], now: number): Promise<void>;
}

export function createSourceClocks(writer: Pick<EventWriter, 'writeEvents'>): SourceClocks {
  /** Batches in a row that said the same. */
  const agreeing = new Map<string, { readonly isOff: boolean; readonly batches: number }>();

  return {
    async note(tx, integration, samples, now) {
      const skew = observedSkew(samples);
      if (skew === null) return;
      const isOff = Math.abs(skew) > MAX_SKEW_MS;
      const before = agreeing.get(integration.id);
      const batches = before?.isOff === isOff ? before.batches + 1 : 1;
      agreeing.delete(integration.id);
      agreeing.set(integration.id, { isOff, batches });
      const [oldest] = agreeing.keys();
      if (agreeing.size > MAX_COUNTED && oldest !== undefined) agreeing.delete(oldest);
      // Only where the count is reached the store is asked; afterwards it is known there.
      if (batches !== AGREEING_BATCHES) return;
      const known = await tx
        .selectFrom('source_clocks')
        .select('is_off')
        .where('integration_id', '=', integration.id)
        .executeTakeFirst();
      if ((known?.is_off ?? 0) === Number(isOff)) return;
      const row = { skew_ms: skew, is_off: Number(isOff), since: now };
      await tx
        .insertInto('source_clocks')
        .values({ integration_id: integration.id, ...row })
        .onConflict((conflict) => conflict.column('integration_id').doUpdateSet(row))
        .execute();
      await writer.writeEvents(tx, integration, [clockEvent(integration, skew, isOff, now)], 'POLL', now);
    },
  };
}

function clockEvent({ name }: IntegrationRow, skewMs: number, isOff: boolean, now: number): EventDraft {
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  return systemDraft({
    type: isOff ? 'system.clock_skewed' : 'system.clock_corrected',
    severity: isOff ? 'WARNING' : 'NOTICE',
    at: now,
    summary: isOff
      ? `${name}: its clock is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead'}; let it and this server follow the same time source`
      : `${name}: its clock is right again`,
    detail: { skewMs },
  });
}
