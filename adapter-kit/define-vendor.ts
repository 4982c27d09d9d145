import type { ZodType } from 'zod';
import type { Logger } from 'pino';
import type { SignatureProfile } from '../schema/words.ts';
import type { Adapter } from './adapter.ts';
import type { EventTable } from './event-table.ts';
import type { DecodeContext, EventDraft, InboundMessage, InventoryDelivery } from './model.ts';
import type { HttpClientFactory } from './http/http-client.ts';
import type { SimulatorModule } from './simulator.ts';

/** How an operator logs in to a platform; exactly one member of the API's CredentialsInput, opened from the vault. */
export type Credentials =
  | { readonly kind: 'apiKey'; readonly apiKey: string }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'oauthClient';
      readonly clientId: string;
      readonly clientSecret: string;
      readonly tokenUrl: string;
    }
  | {
      readonly kind: 'signedJwt';
      readonly issuer: string;
      readonly privateKeyPem: string;
      readonly ttlSeconds: number;
    };

/** What an adapter is made from. Clock and I/O are passed in. */
export interface AdapterOptions<Settings> {
  readonly integrationId: string;
  /** Null for platforms with one fixed address. */
  readonly baseUrl: URL | null;
  readonly credentials: Credentials | null;
  readonly settings: Settings;
  /** Bounded, guarded outbound HTTP; the only way out for an adapter that speaks HTTP. */
  readonly http: HttpClientFactory;
  readonly logger: Logger;
  readonly now: () => Date;
}

/** How events of this vendor reach us. */
export interface IngestTraits {
  readonly webhooks: boolean;
  readonly listens: boolean;
  /** What `listen` yields is found by asking: the platform cannot push, and its silence means nothing. Default false. */
  readonly listensByAsking?: boolean;
  /** Status can be had by asking: poll alone, or as a fallback when push is silent. */
  readonly polls: boolean;
  /** How long a pushing platform may be silent before we poll. Default for its integrations; settings may override. */
  readonly expectedSilenceMs: number;
  /** How often the whole inventory is read. */
  readonly syncIntervalMs: number;
  /** How often we poll while polling stands in for push (or is all there is). */
  readonly pollIntervalMs: number;
  /**
   * For platforms whose listings say no state: how old the last word on a device may be before it counts as stale. Absent:
   * a complete listing is a word on every device.
   */
  readonly staleAfterMs?: number;
  /**
   * Nothing can be asked of the other side: it pushes its inventory, too (see `decodeInventory`). There are no scheduled
   * syncs, no polling and no live reads then.
   */
  readonly pushOnly?: boolean;
  /** Webhook bodies may come compressed with gzip; the signature is over the bytes as sent. */
  readonly acceptsGzip?: boolean;
  /**
   * Largest webhook body, for platforms that send pictures in it; default 256 KiB. Only for profile PATH_SECRET, where the
   * sender is proven before the body is read.
   */
  readonly maxDeliveryBytes?: number;
}

/** One vendor: a folder, this declaration, and one line in subgraphs/index.ts. */
export interface Vendor<Settings = unknown> {
  /** Folder and subgraph name, kebab-case. */
  readonly slug: string;
  /** Value of the API's Vendor enum: the slug in SCREAMING_SNAKE. */
  readonly enumValue: string;
  /** Prefix of its GraphQL types: `<graphqlName>Device`, `<graphqlName>Platform`. */
  readonly graphqlName: string;
  readonly name: string;
  /** Absolute path of its schema.graphql. */
  readonly schemaPath: URL;
  readonly settings: ZodType<Settings>;
  readonly credentialKinds: readonly Credentials['kind'][];
  readonly signatureProfiles: readonly SignatureProfile[];
  readonly ingest: IngestTraits;
  /** What the vendor's codes are here, as data: shown in the catalogue beside our types. */
  readonly eventTable: EventTable;
  createAdapter(options: AdapterOptions<Settings>): Adapter;
  /** Pure. @throws DecodeError */
  decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[];
  /**
   * For platforms that push their inventory. Pure. @returns null when the delivery is no inventory: `decode` is asked then
   *
   * @throws DecodeError
   */
  decodeInventory?(message: InboundMessage, context: DecodeContext): InventoryDelivery | null;
  /** Field resolvers for the vendor's extra fields, where `extras` does not carry them as they are. */
  readonly resolvers?: Readonly<Record<string, Readonly<Record<string, (parent: never, args: never) => unknown>>>>;
  readonly simulator: () => Promise<SimulatorModule>;
}

/** Checks a declaration at load, so that a slip shows at start and not at the first event. */
export function defineVendor<Settings>(vendor: Omit<Vendor<Settings>, 'enumValue'>): Vendor<Settings> {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(vendor.slug))
    throw new TypeError(`vendor slug "${vendor.slug}" is not kebab-case`);
  if (!/^[A-Z][A-Za-z0-9]*$/.test(vendor.graphqlName))
    throw new TypeError(`graphqlName of "${vendor.slug}" is not PascalCase`);
  return { ...vendor, enumValue: vendor.slug.replaceAll('-', '_').toUpperCase() };
}
