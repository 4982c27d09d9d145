import { expect, it } from 'vitest';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { principalOf } from '../integrations/testing.ts';
import { NOON, seed } from '../testing.ts';
import { createStatusPolicies } from './policy-service.ts';

const HOUR = 3_600_000;
const LEARNED = 3 * HOUR;
/** How much longer a device is waited for because nobody could hear it. */
const DEAF = HOUR / 2;

eachEngine('a policy of silence', (open) => {
  /** Two cameras that are waited for, one that is not, one that is down. */
  async function start(quietVendors = ['acme']) {
    const db = await open();
    const { integration, orgId } = await seed(db, { devices: ['heard', 'deaf', 'new', 'down'] });
    await db.write(async (tx) => {
      await tx
        .insertInto('rhythms')
        .values({
          integration_id: integration.id,
          type: 'CAMERA',
          samples: 99,
          histogram: '[]',
          limit_ms: LEARNED,
          updated_at: NOON,
        })
        .execute();
      const set = (name: string, values: { state: string; silence_due_at: number | null; type?: string }) =>
        tx
          .updateTable('devices')
          .set({ last_seen_at: NOON, ...values })
          .where('native_id', '=', name)
          .execute();
      await set('heard', { state: 'ONLINE', silence_due_at: NOON + LEARNED });
      await set('deaf', { state: 'DEGRADED', silence_due_at: NOON + LEARNED + DEAF });
      await set('new', { state: 'ONLINE', silence_due_at: null, type: 'SIREN' });
      await set('down', { state: 'OFFLINE', silence_due_at: null });
    });
    const policies = createStatusPolicies({ db, now: () => NOON + HOUR, quietVendors });
    const principal = principalOf([orgId]);
    const idOf = (name: string) => deviceId(integration.id, name);
    return {
      set: async (input: object) => {
        const { statusPolicy, userErrors } = await policies.set(principal, { orgId, ...input });
        expect(userErrors).toEqual([]);
        return statusPolicy?.id ?? '';
      },
      remove: (id: string) => policies.delete(principal, id),
      idOf,
      /** Hours from noon. */
      due: async () => {
        const rows = await db.read.selectFrom('devices').select(['native_id', 'silence_due_at']).execute();
        return Object.fromEntries(
          rows.map((row) => [row.native_id, row.silence_due_at === null ? null : (row.silence_due_at - NOON) / HOUR]),
        );
      },
    };
  }

  it('holds for those too that never speak again, and ends with it', async () => {
    const { set, remove, due } = await start();
    expect(await due()).toEqual({ heard: 3, deaf: 3.5, new: null, down: null });
    const id = await set({ silence: 2 * HOUR });
    expect(await due()).toEqual({ heard: 2, deaf: 2.5, new: 2, down: null });
    await set({ silence: 5 * HOUR });
    expect(await due()).toEqual({ heard: 5, deaf: 5.5, new: 5, down: null });
    await remove(id);
    expect(await due()).toEqual({ heard: 3, deaf: 3.5, new: null, down: null });
  });

  it('is of its place alone, and of none for which a narrower one decides', async () => {
    const { set, due, idOf } = await start();
    await set({ deviceType: 'SIREN', silence: HOUR });
    expect(await due()).toEqual({ heard: 3, deaf: 3.5, new: 1, down: null });
    await set({ deviceId: idOf('heard'), silence: 4 * HOUR });
    expect(await due()).toEqual({ heard: 4, deaf: 3.5, new: 1, down: null });
    await set({ silence: 2 * HOUR });
    expect(await due()).toEqual({ heard: 4, deaf: 2.5, new: 1, down: null });
  });

  it('moves nothing where it says nothing of silence, or where nobody waits', async () => {
    const { set, due } = await start();
    await set({ offlineDwell: HOUR });
    expect(await due()).toEqual({ heard: 3, deaf: 3.5, new: null, down: null });
    const others = await start(['another-vendor']);
    await others.set({ silence: HOUR });
    expect(await others.due()).toEqual({ heard: 3, deaf: 3.5, new: null, down: null });
  });
});
