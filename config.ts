import { isAbsolute, join, resolve } from 'node:path';
import type { JSONWebKeySet } from 'jose';
import { z } from 'zod';

/** Where the keys that sign our callers' tokens come from. */
export type KeySource = { readonly url: URL } | { readonly keys: JSONWebKeySet };

/** Everything that can be set, checked. Tests and the sandbox build it without an environment. */
export interface Config {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Absolute. Holds the embedded database and, without `MASTER_KEY`, the key file. */
  readonly dataDir: string;
  /** `sqlite:<absolute file>` or `postgres://…`. */
  readonly databaseUrl: string;
  /** How the world reaches us, without a trailing slash: the base of webhook addresses. Null: as we listen. */
  readonly publicUrl: string | null;
  readonly auth: { readonly issuer: string; readonly audience: string; readonly keys: KeySource };
  /** 32 bytes in base64 or hex; null takes the key file in the data directory. */
  readonly masterKey: string | null;
  /** Private networks that adapters may reach, as CIDR; everything private is refused otherwise. */
  readonly outboundAllowCidrs: readonly string[];
  /** Origins of web pages that may call us; `http://host:port`, exact. */
  readonly corsOrigins: readonly string[];
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Asked for by `/metrics`; null: only this machine may read them. */
  readonly metricsToken: string | null;
  readonly limits: Limits;
}

/** What an operator may move. Everything else that is bounded has its constant beside the code it bounds. */
export interface Limits {
  /** Highest cost of one operation. */
  readonly operationCost: number;
  /** Points that one principal may spend in a minute, in one process. */
  readonly costPerMinute: number;
  /** Milliseconds until an operation's missing parts are given up. */
  readonly operationMs: number;
  /** Open connections, HTTP and WebSocket together. */
  readonly connections: number;
  /** Of these, from one address. Loopback is exempt: a reverse proxy there speaks for everybody. */
  readonly connectionsPerAddress: number;
  /** Bytes of the embedded database up to which a start reads all of it to find damage: about a second per gigabyte. */
  readonly startCheckBytes: number;
  /** Open WebSocket connections and event streams of one principal. */
  readonly connectionsPerPrincipal: number;
}

const MEBIBYTE = 1_024 * 1_024;

export const DEFAULT_LIMITS: Limits = {
  operationCost: 20_000,
  // More than one process can answer: it becomes a limit when an operator makes it one.
  costPerMinute: 600_000_000,
  operationMs: 10_000,
  connections: 20_000,
  connectionsPerAddress: 200,
  startCheckBytes: 2_048 * MEBIBYTE,
  connectionsPerPrincipal: 1_000,
};

/** Names every variable that is missing or unusable; values are left out, they may be secrets. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'BAD_CONFIG';
  readonly problems: readonly { readonly variable: string; readonly message: string }[];

  constructor(problems: ConfigError['problems']) {
    super(`Bad settings:\n${problems.map(({ variable, message }) => `  ${variable}: ${message}`).join('\n')}`);
    this.problems = problems;
  }
}

function url(protocols: readonly string[]) {
  return z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });
}

function integer(min: number, max: number, standard: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
    .default(standard);
}

function list<T extends z.ZodType<string, string>>(item: T, error: string) {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine((parts) => parts.every((part) => item.safeParse(part).success), { error })
    .default([]);
}

const cidr = z.union([z.cidrv4(), z.cidrv6()]);
const origin = z.string().refine((text) => URL.canParse(text) && new URL(text).origin === text);
const LOOPBACK = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\//;

const Environment = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: integer(0, 65_535, 4000),
  DATA_DIR: z.string().default('./.data'),
  DATABASE_URL: url(['postgres:', 'postgresql:']).optional(),
  REDIS_URL: z
    .undefined({
      error: 'is not supported yet: processes that share a PostgreSQL database need nothing else; remove it',
    })
    .optional(),
  PUBLIC_URL: url(['http:', 'https:'])
    .transform((text) => text.replace(/\/+$/, ''))
    .optional(),
  AUTH_ISSUER: z.string({ error: 'is required: the `iss` of the tokens that callers bring' }),
  AUTH_AUDIENCE: z.string({ error: 'is required: the `aud` of the tokens that callers bring' }),
  AUTH_JWKS_URL: z
    .string({ error: 'is required: where the keys are that sign the tokens of callers' })
    // Whoever can alter the keys on their way to us can be anybody.
    .refine((text) => URL.canParse(text) && (text.startsWith('https://') || LOOPBACK.test(text)), {
      error: 'must be an https:// URL (http:// only on this machine)',
    }),
  MASTER_KEY: z
    .string()
    .refine((text) => /^[0-9a-f]{64}$/i.test(text) || /^[A-Za-z0-9+/]{43}=$/.test(text), {
      error: 'must be 32 bytes in hex or base64, for example from `openssl rand -base64 32`',
    })
    .optional(),
  OUTBOUND_ALLOW_CIDRS: list(cidr, 'must be networks separated by commas, for example 10.1.0.0/16,fd00::/8'),
  CORS_ORIGINS: list(origin, 'must be origins separated by commas, for example https://app.example.com'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be fatal, error, warn, info, debug, trace or silent',
    })
    .default('info'),
  METRICS_TOKEN: z.string().min(16, { error: 'must have at least 16 characters' }).optional(),
  MAX_OPERATION_COST: integer(100, 1_000_000, DEFAULT_LIMITS.operationCost),
  MAX_COST_PER_MINUTE: integer(1_000, 999_999_999, DEFAULT_LIMITS.costPerMinute),
  MAX_OPERATION_MS: integer(100, 60_000, DEFAULT_LIMITS.operationMs),
  START_CHECK_MAX_MB: integer(0, 1_000_000, DEFAULT_LIMITS.startCheckBytes / MEBIBYTE),
  MAX_CONNECTIONS: integer(10, 1_000_000, DEFAULT_LIMITS.connections),
  MAX_CONNECTIONS_PER_ADDRESS: integer(1, 1_000_000, DEFAULT_LIMITS.connectionsPerAddress),
  MAX_CONNECTIONS_PER_PRINCIPAL: integer(1, 1_000_000, DEFAULT_LIMITS.connectionsPerPrincipal),
});

function parseEnvironment<T>(schema: z.ZodType<T>, env: Readonly<Record<string, string | undefined>>): T {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    parsed.error.issues.map((issue) => ({ variable: String(issue.path[0] ?? ''), message: issue.message })),
  );
}

/**
 * Reads where to listen and what to log: all that the sandbox and the benchmarks take from the environment.
 *
 * @param logLevel when `LOG_LEVEL` is absent
 * @throws ConfigError naming every bad variable at once
 */
export function loadListenConfig(
  logLevel: Config['logLevel'],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Pick<Config, 'host' | 'port' | 'logLevel'> {
  const schema = Environment.pick({ HOST: true, PORT: true, LOG_LEVEL: true });
  const { HOST, PORT, LOG_LEVEL } = parseEnvironment(schema, { LOG_LEVEL: logLevel, ...env });
  return { host: HOST, port: PORT, logLevel: LOG_LEVEL };
}

/**
 * Reads where the store is: all that backup, restore and verify take from the environment.
 *
 * @throws ConfigError naming every bad variable at once
 */
export function loadStoreConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Pick<Config, 'dataDir' | 'databaseUrl' | 'masterKey'> {
  return storeConfigOf(
    parseEnvironment(Environment.pick({ DATA_DIR: true, DATABASE_URL: true, MASTER_KEY: true }), env),
  );
}

function storeConfigOf(settings: {
  readonly DATA_DIR: string;
  readonly DATABASE_URL?: string | undefined;
  readonly MASTER_KEY?: string | undefined;
}): Pick<Config, 'dataDir' | 'databaseUrl' | 'masterKey'> {
  const dataDir = isAbsolute(settings.DATA_DIR) ? settings.DATA_DIR : resolve(settings.DATA_DIR);
  return {
    dataDir,
    databaseUrl: settings.DATABASE_URL ?? `sqlite:${join(dataDir, 'convergraph.db')}`,
    masterKey: settings.MASTER_KEY ?? null,
  };
}

/** Names of the variables that are read. */
export const VARIABLES: readonly string[] = Object.keys(Environment.shape);

/**
 * Reads the settings of `npm start`. An empty variable counts as absent.
 *
 * @throws ConfigError naming every bad variable at once
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>> = process.env): Config {
  const settings = parseEnvironment(Environment, env);
  return {
    ...storeConfigOf(settings),
    host: settings.HOST,
    port: settings.PORT,
    publicUrl: settings.PUBLIC_URL ?? null,
    auth: {
      issuer: settings.AUTH_ISSUER,
      audience: settings.AUTH_AUDIENCE,
      keys: { url: new URL(settings.AUTH_JWKS_URL) },
    },
    outboundAllowCidrs: settings.OUTBOUND_ALLOW_CIDRS,
    corsOrigins: settings.CORS_ORIGINS,
    logLevel: settings.LOG_LEVEL,
    metricsToken: settings.METRICS_TOKEN ?? null,
    limits: {
      operationCost: settings.MAX_OPERATION_COST,
      costPerMinute: settings.MAX_COST_PER_MINUTE,
      operationMs: settings.MAX_OPERATION_MS,
      connections: settings.MAX_CONNECTIONS,
      connectionsPerAddress: settings.MAX_CONNECTIONS_PER_ADDRESS,
      startCheckBytes: settings.START_CHECK_MAX_MB * MEBIBYTE,
      connectionsPerPrincipal: settings.MAX_CONNECTIONS_PER_PRINCIPAL,
    },
  };
}
