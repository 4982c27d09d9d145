import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from 'pino';
import { SIGNATURE_PROFILES } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { SecretRow } from '../../storage/rows.ts';
import type { Vault } from '../../storage/vault.ts';
import { examineSignature, type KnownSecret, MAX_EXAMINED_BYTES } from '../signatures/doctor.ts';
import { MAX_SECRETS } from '../signatures/verifier.ts';

/** Examinations of one integration's deliveries in a minute: a sender with a mistake makes the same one every time. */
export const MAX_PER_MINUTE = 10;
/** And of all integrations: one second of a core at the very most. */
const MAX_PER_MINUTE_TOTAL = 60;
const MINUTE_MS = 60_000;
/** Bytes hashed before others have their turn: a fifth of a millisecond. */
const MAX_SLICE_BYTES = 256 * 1_024;
/** Secrets of other integrations of the org that are tried: two addresses whose secrets were exchanged. */
const MAX_FOREIGN_SECRETS = 8;

/** What is kept of a refused delivery until it is examined. Held in memory only. */
export interface Evidence {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly target: string;
  readonly pathSecret: string;
}

export interface Consultation {
  /** Takes one of the integration's examinations of this minute. @returns false when there is none left */
  take(integrationId: string): boolean;
  /**
   * Why the signature was refused, in sentences for the operator; null when nothing can be said. Never rejects.
   *
   * @param receivedAt milliseconds since the epoch
   */
  examine(integrationId: string, evidence: Evidence, receivedAt: number): Promise<readonly string[] | null>;
}

export interface ConsultationDeps {
  readonly db: Pick<Database, 'read'>;
  readonly vault: Vault;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A copy that lives on after the request: pooled buffers would keep more in memory than the body. */
export function evidenceOf(headers: IncomingHttpHeaders, body: Buffer, target: string, pathSecret: string): Evidence {
  // One byte more than is examined, so that a longer one is known as such.
  return { headers, body: Buffer.from(body.subarray(0, MAX_EXAMINED_BYTES + 1)), target, pathSecret };
}

/** The signature doctor with the integration's secrets, away from the path of requests, and not too often. */
export function createConsultation({ db, vault, logger, now }: ConsultationDeps): Consultation {
  let minute = 0;
  let total = 0;
  const taken = new Map<string, number>();

  function open(row: SecretRow, integrationId: string, receivedAt: number): KnownSecret[] {
    try {
      const text = vault.open(row.sealed, { integrationId: row.integration_id, purpose: row.purpose, id: row.id });
      const hasEnded = row.expires_at !== null && row.expires_at <= receivedAt;
      return [
        {
          text,
          endedAt: hasEnded ? row.expires_at : null,
          otherIntegrationId: row.integration_id === integrationId ? null : row.integration_id,
        },
      ];
    } catch {
      // Said where it is opened to verify.
      return [];
    }
  }

  async function secretsFor(orgId: string, integrationId: string, receivedAt: number): Promise<readonly KnownSecret[]> {
    const own = await db.read
      .selectFrom('secrets')
      .selectAll()
      .where('integration_id', '=', integrationId)
      .where('purpose', '=', 'webhook')
      .orderBy('created_at', 'desc')
      .limit(MAX_SECRETS)
      .execute();
    const foreign = await db.read
      .selectFrom('secrets')
      .innerJoin('integrations', 'integrations.id', 'secrets.integration_id')
      .selectAll('secrets')
      .where('integrations.org_id', '=', orgId)
      .where('integrations.id', '!=', integrationId)
      .where('secrets.purpose', '=', 'webhook')
      .where('secrets.expires_at', 'is', null)
      .orderBy('secrets.created_at', 'desc')
      .limit(MAX_FOREIGN_SECRETS)
      .execute();
    return [...own, ...foreign].flatMap((row) => open(row, integrationId, receivedAt));
  }

  return {
    take(integrationId) {
      const current = Math.floor(now() / MINUTE_MS);
      if (current !== minute) {
        minute = current;
        total = 0;
        taken.clear();
      }
      const count = taken.get(integrationId) ?? 0;
      if (count >= MAX_PER_MINUTE || total >= MAX_PER_MINUTE_TOTAL) return false;
      taken.set(integrationId, count + 1);
      total += 1;
      return true;
    },
    async examine(integrationId, evidence, receivedAt) {
      try {
        const integration = await db.read
          .selectFrom('integrations')
          .select(['org_id', 'signature_profile'])
          .where('id', '=', integrationId)
          .executeTakeFirst();
        const profile = SIGNATURE_PROFILES.find((name) => name === integration?.signature_profile);
        if (integration === undefined || profile === undefined) return null;
        const secrets = await secretsFor(integration.org_id, integrationId, receivedAt);
        const steps = examineSignature({ profile, secrets, ...evidence });
        for (let hashed = 0; ; ) {
          const step = steps.next();
          if (step.done === true) return step.value;
          hashed += step.value;
          if (hashed < MAX_SLICE_BYTES) continue;
          hashed = 0;
          await new Promise((resolve) => setImmediate(resolve));
        }
      } catch (error) {
        logger.warn({ err: error, integrationId }, 'A refused signature could not be examined');
        return null;
      }
    },
  };
}
