import { expect, it } from 'vitest';
import { createCursorCodec } from '../../storage/cursor.ts';
import { FIXTURE_AT } from '../../storage/fixtures/directory-rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { noIntegrations } from '../fixtures/no-services.ts';
import { acme, insertWorld } from '../fixtures/world.ts';
import { createDirectorySubgraph } from './index.ts';

const admin = principal({ orgIds: ['org_a'] });
const near = principal({ orgIds: ['org_a'], siteIds: ['site_a_near'] });
const orgB = principal({ orgIds: ['org_b'] });

const SET = `mutation ($input: StatusPolicyInput!) { setStatusPolicy(input: $input) {
  statusPolicy { id org { id } site { id } deviceType device { id } offlineDwell flapChanges flapWindow silence updatedAt }
  userErrors { code path } } }`;
const DELETE = `mutation ($id: ID!) { deleteStatusPolicy(input: { id: $id }) { deletedId userErrors { code } } }`;
const LIST = `{ org(id: "org_a") { statusPolicies { id offlineDwell site { id } device { id } deviceType } } }`;

eachEngine('how status is judged, in the directory', (openDb) => {
  async function open() {
    const db = await openDb();
    await insertWorld(db);
    const options = {
      db,
      cursors: createCursorCodec(new Uint8Array(32)),
      publicUrl: new URL('https://graph.example.com'),
      integrations: noIntegrations,
      now: () => FIXTURE_AT,
    };
    const subgraph = createDirectorySubgraph(options, [acme]);
    const deviceId = async (nativeId: string) => {
      const row = await db.read
        .selectFrom('devices')
        .select('id')
        .where('native_id', '=', nativeId)
        .executeTakeFirstOrThrow();
      return row.id;
    };
    const revision = async () => {
      const row = await db.read
        .selectFrom('orgs')
        .select('revision')
        .where('id', '=', 'org_a')
        .executeTakeFirstOrThrow();
      return row.revision;
    };
    const set = async (input: object, who = admin) => {
      const { data, errors } = await ask(subgraph, who, SET, { input: { orgId: 'org_a', ...input } });
      expect(errors).toEqual([]);
      return data.setStatusPolicy;
    };
    const remove = async (id: string, who = admin) =>
      (await ask(subgraph, who, DELETE, { id })).data.deleteStatusPolicy;
    const list = async (who = admin) => (await ask(subgraph, who, LIST)).data.org?.statusPolicies ?? null;
    return { set, remove, list, deviceId, revision };
  }

  it('is decided, answered, decided anew for the same place, and taken back', async () => {
    const { set, remove, list, revision } = await open();
    const before = await revision();
    const { statusPolicy: policy, userErrors } = await set({
      siteId: 'site_a_near',
      deviceType: 'CAMERA',
      offlineDwell: 'PT5M',
      flapChanges: 4,
    });
    expect(userErrors).toEqual([]);
    expect(policy).toEqual({
      id: expect.stringMatching(/^pol_/),
      org: { id: 'org_a' },
      site: { id: 'site_a_near' },
      deviceType: 'CAMERA',
      device: null,
      offlineDwell: 'PT5M',
      flapChanges: 4,
      flapWindow: null,
      silence: null,
      updatedAt: new Date(FIXTURE_AT).toISOString(),
    });
    const again = await set({ siteId: 'site_a_near', deviceType: 'CAMERA', silence: 'PT1H' });
    expect(again.statusPolicy).toMatchObject({ id: policy.id, offlineDwell: null, silence: 'PT1H' });
    expect(await list()).toHaveLength(1);
    expect(await remove(policy.id)).toEqual({ deletedId: policy.id, userErrors: [] });
    expect(await list()).toEqual([]);
    expect(await remove(policy.id)).toEqual({ deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] });
    // Answers from memory are void with each of them.
    expect(await revision()).toBe(before + 3);
  });

  it('concerns a token of some sites only as far as they go', async () => {
    const { set, remove, list, deviceId } = await open();
    const [own, far] = [await deviceId('a_near_panel'), await deviceId('a_far_a')];
    const whole = await set({ offlineDwell: 'PT1M' });
    await set({ siteId: 'site_a_far', offlineDwell: 'PT2M' });
    await set({ deviceId: far, offlineDwell: 'PT3M' });
    expect((await set({ siteId: 'site_a_near', offlineDwell: 'PT4M' }, near)).userErrors).toEqual([]);
    expect((await set({ deviceId: own, offlineDwell: 'PT5M' }, near)).userErrors).toEqual([]);
    const dwells = (policies: readonly { offlineDwell: string }[]) => policies.map(({ offlineDwell }) => offlineDwell);
    expect(dwells(await list(near)).toSorted()).toEqual(['PT1M', 'PT4M', 'PT5M']);
    expect(await list()).toHaveLength(5);
    expect(await list(orgB)).toBeNull();
    expect((await set({ offlineDwell: 'PT1M' }, near)).userErrors).toMatchObject([{ code: 'FORBIDDEN' }]);
    expect((await set({ deviceType: 'CAMERA', offlineDwell: 'PT1M' }, near)).userErrors).toMatchObject([
      { code: 'FORBIDDEN' },
    ]);
    expect((await set({ siteId: 'site_a_far', offlineDwell: 'PT1M' }, near)).userErrors).toMatchObject([
      { code: 'NOT_FOUND', path: ['siteId'] },
    ]);
    expect((await set({ deviceId: far, offlineDwell: 'PT1M' }, near)).userErrors).toMatchObject([
      { code: 'NOT_FOUND', path: ['deviceId'] },
    ]);
    expect((await remove(whole.statusPolicy.id, near)).userErrors).toEqual([{ code: 'FORBIDDEN' }]);
    expect((await remove(whole.statusPolicy.id, orgB)).userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    expect((await set({ offlineDwell: 'PT1M' }, orgB)).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
  });

  it.each([
    [{}, 'offlineDwell'],
    [{ offlineDwell: 'P2D' }, 'offlineDwell'],
    [{ flapChanges: 1 }, 'flapChanges'],
    [{ flapWindow: 'PT1S' }, 'flapWindow'],
    [{ silence: 'PT1S' }, 'silence'],
    [{ deviceId: 'dev_x', siteId: 'site_a_near', offlineDwell: 'PT1M' }, 'deviceId'],
  ])('refuses %j', async (input, path) => {
    const { set, list } = await open();
    expect(await set(input)).toMatchObject({ statusPolicy: null, userErrors: [{ code: 'INVALID', path: [path] }] });
    expect(await list()).toEqual([]);
  });

  it('is not for everybody to decide', async () => {
    const { set } = await open();
    const reader = principal({ orgIds: ['org_a'], scopes: ['inventory:read'] });
    expect((await set({ offlineDwell: 'PT1M' }, reader)).userErrors).toMatchObject([{ code: 'FORBIDDEN' }]);
  });
});
