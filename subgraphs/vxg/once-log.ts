import type { Logger } from 'pino';

/** What arrived and is nowhere documented: named in the log once, so that a table can be completed from it. */
export type OnceLog = (key: string, fields: Readonly<Record<string, unknown>>, message: string) => void;

/** Beyond it an installation makes its words up as it goes, and nobody would read them. */
const MAX_KEYS = 200;

export function createOnceLog(logger: Logger): OnceLog {
  const told = new Set<string>();
  return (key, fields, message) => {
    if (told.has(key) || told.size >= MAX_KEYS) return;
    told.add(key);
    logger.info(fields, message);
  };
}
