import { expect, it } from 'vitest';
import { createLeases } from './leases.ts';
import { eachEngine } from './testing.ts';

eachEngine('leases', (open) => {
  const start = async () => {
    const clock = { now: 1_000_000 };
    const db = await open();
    return { db, clock, leases: createLeases({ db, now: () => clock.now }) };
  };

  it('have one owner at a time', async () => {
    const { leases } = await start();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => leases.acquire('sync:int_1', `worker ${index}`, 5_000)),
    );
    const granted = answers.filter((lease) => lease !== null);
    expect(granted).toHaveLength(1);
    expect(granted[0]).toMatchObject({ name: 'sync:int_1', fence: 1, expiresAt: 1_005_000 });
    expect(await leases.acquire('sync:int_2', 'worker 1', 5_000)).not.toBeNull();
  });

  it('exclude the same owner too', async () => {
    const { leases } = await start();
    await leases.acquire('a', 'me', 5_000);
    expect(await leases.acquire('a', 'me', 5_000)).toBeNull();
  });

  it('go to the next owner once they expired, with a higher fence', async () => {
    const { leases, clock } = await start();
    const first = await leases.acquire('a', 'one', 5_000);
    clock.now += 4_999;
    expect(await leases.acquire('a', 'two', 5_000)).toBeNull();
    clock.now += 1;
    expect(await leases.acquire('a', 'two', 5_000)).toMatchObject({ owner: 'two', fence: 2 });
    expect(await leases.renew(first!, 5_000)).toBeNull();
  });

  it('are not left to the dead by a clock that is set back, nor taken from the living', async () => {
    const { leases, clock } = await start();
    const held = await leases.acquire('a', 'one', 5_000);
    await leases.acquire('b', 'dead', 5_000);
    clock.now -= 3_600_000;
    // Its owner works on and has renewed it before anybody asks.
    expect(await leases.renew(held!, 5_000)).toMatchObject({ fence: 1 });
    expect(await leases.acquire('a', 'two', 5_000)).toBeNull();
    expect(await leases.acquire('b', 'two', 5_000)).toMatchObject({ owner: 'two', fence: 2 });
    clock.now += 3_600_000;
    expect(await leases.acquire('a', 'two', 5_000)).toMatchObject({ owner: 'two', fence: 2 });
  });

  it('are kept by renewing in time only', async () => {
    const { leases, clock } = await start();
    const first = await leases.acquire('a', 'one', 5_000);
    clock.now += 4_000;
    const renewed = await leases.renew(first!, 5_000);
    expect(renewed).toMatchObject({ fence: 1, expiresAt: 1_009_000 });
    clock.now += 4_999;
    expect(await leases.acquire('a', 'two', 5_000)).toBeNull();
    clock.now += 1;
    expect(await leases.renew(renewed!, 5_000)).toBeNull();
  });

  it('are free at once after release, and the fence goes on counting', async () => {
    const { leases } = await start();
    const first = await leases.acquire('a', 'one', 5_000);
    await leases.release(first!);
    expect(await leases.renew(first!, 5_000)).toBeNull();
    const second = await leases.acquire('a', 'two', 5_000);
    expect(second).toMatchObject({ fence: 2 });
    // The first owner is late: it must not free what is another's now.
    await leases.release(first!);
    expect(await leases.acquire('a', 'three', 5_000)).toBeNull();
  });

  it('tell a transaction whether its owner was replaced', async () => {
    const { db, leases, clock } = await start();
    const first = await leases.acquire('a', 'one', 5_000);
    expect(await db.write((tx) => leases.isHeld(tx, first!))).toBe(true);
    clock.now += 10_000;
    expect(await db.write((tx) => leases.isHeld(tx, first!))).toBe(true);
    const second = await leases.acquire('a', 'two', 5_000);
    expect(await db.write((tx) => leases.isHeld(tx, first!))).toBe(false);
    expect(await db.write((tx) => leases.isHeld(tx, second!))).toBe(true);
    await leases.release(second!);
    expect(await db.write((tx) => leases.isHeld(tx, second!))).toBe(false);
  });

  it('cannot change hands while a transaction relies on them', async () => {
    const { db, leases, clock } = await start();
    const first = await leases.acquire('a', 'one', 5_000);
    clock.now += 10_000;
    const order: string[] = [];
    const checked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const work = db.write(async (tx) => {
      await leases.isHeld(tx, first!);
      checked.resolve();
      await goOn.promise;
      order.push('work');
    });
    await checked.promise;
    const takeover = leases.acquire('a', 'two', 5_000).then(() => order.push('takeover'));
    await db.head();
    goOn.resolve();
    await Promise.all([work, takeover]);
    expect(order).toEqual(['work', 'takeover']);
  });
});
