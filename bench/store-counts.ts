import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { arrivalsFileOf } from '../storage/sqlite/arrivals-file.ts';

export interface StoreCounts {
  /** Deliveries that are acknowledged and not yet processed. */
  readonly pending: () => number;
  /** Deliveries that were kept, processed or not. */
  readonly stored: () => number;
  readonly unusable: () => number;
  /** Events that were made of deliveries. */
  readonly events: () => number;
  close(): void;
}

/** A look into the store from outside: the server that is measured does nothing for it. */
export function openCounts(file: string): StoreCounts {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  const one = (sql: string): (() => number) => {
    const statement = db.prepare(sql);
    return () => Number(Object(statement.get()).n);
  };
  const front = arrivalsFileOf(file);
  const arrived = existsSync(front) ? new DatabaseSync(front, { readOnly: true, timeout: 5_000 }) : null;
  const moved = db.prepare("select value from meta where key = 'arrivals_moved'");
  const waiting = arrived?.prepare('select count(*) as n from arrivals where id > ?');
  const inFront = (): number => {
    const upTo = Number(String(Object(moved.get()).value ?? '').split(' ')[1] ?? 0);
    return Number(Object(waiting?.get(upTo)).n ?? 0);
  };
  const inInbox = one("select count(*) as n from inbox where status = 'PENDING'");
  const inbox = one('select count(*) as n from inbox');
  return {
    stored: () => inFront() + inbox(),
    // In front first: what moves in between is counted twice rather than not at all.
    pending: () => inFront() + inInbox(),
    unusable: one("select count(*) as n from inbox where status = 'DEAD'"),
    events: one("select count(*) as n from events where origin = 'WEBHOOK' and type not like 'health.flapping%'"),
    close() {
      arrived?.close();
      db.close();
    },
  };
}
