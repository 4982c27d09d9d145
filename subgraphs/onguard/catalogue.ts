// What a site's event codes are called. They differ by release, by site and by language, so that they are read.
import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type OnGuardClient, PAGE_SIZE } from './client.ts';
import { intOf, type Properties, textOf } from './properties.ts';

/** Types and subtypes of one system: thousands, never this many. */
const MAX_PAGES = 200;
/** Operators rename alarms rarely. */
const GOOD_FOR_MS = 86_400_000;

export interface Catalogue {
  readonly typeNames: ReadonlyMap<number, string>;
  /** Key: `type/subtype`. */
  readonly descriptions: ReadonlyMap<string, string>;
}

export const EMPTY_CATALOGUE: Catalogue = { typeNames: new Map(), descriptions: new Map() };

export interface CatalogueReader {
  /** At most a day old. Empty where the account may not read it: events are told by their own words then. */
  read(signal: AbortSignal): Promise<Catalogue>;
}

/** Faults that reading again will not mend today. */
const LASTING: ReadonlySet<string> = new Set(['FORBIDDEN', 'NOT_FOUND', 'BAD_PAYLOAD', 'TOO_LARGE']);

export function createCatalogueReader(client: OnGuardClient, logger: Logger, now: () => Date): CatalogueReader {
  let held: { readonly catalogue: Catalogue; readonly until: number } | null = null;

  async function all(typeName: string, signal: AbortSignal): Promise<readonly Properties[]> {
    const items: Properties[] = [];
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const answer = await client.instances({ typeName, orderBy: 'ID', page }, signal);
      items.push(...answer.items);
      if (answer.items.length < PAGE_SIZE) return items;
    }
    throw new AdapterError('TOO_LARGE', `${typeName} has more than ${MAX_PAGES} pages`);
  }

  async function learn(signal: AbortSignal): Promise<Catalogue> {
    const typeNames = new Map<number, string>();
    const descriptions = new Map<string, string>();
    for (const type of await all('Lnl_EventType', signal)) {
      const id = intOf(type, 'ID');
      const name = textOf(type, 'Description') ?? textOf(type, 'Name');
      if (id !== null && name !== null) typeNames.set(id, name);
    }
    for (const subtype of await all('Lnl_EventSubtypeDefinition', signal)) {
      const type = intOf(subtype, 'TypeID');
      const id = intOf(subtype, 'SubTypeID');
      const description = textOf(subtype, 'Description');
      if (type !== null && id !== null && description !== null) descriptions.set(`${type}/${id}`, description);
    }
    return { typeNames, descriptions };
  }

  return {
    async read(signal) {
      if (held !== null && now().getTime() < held.until) return held.catalogue;
      let catalogue = EMPTY_CATALOGUE;
      try {
        catalogue = await learn(signal);
        logger.info(
          { types: catalogue.typeNames.size, descriptions: catalogue.descriptions.size },
          'The event codes of the site were read',
        );
      } catch (error) {
        if (!(error instanceof AdapterError) || !LASTING.has(error.code)) throw error;
        logger.warn({ code: error.code }, 'The event codes of the site cannot be read; events are told by their words');
      }
      held = { catalogue, until: now().getTime() + GOOD_FOR_MS };
      return catalogue;
    },
  };
}
