import { join } from 'node:path';
import { type Config, DEFAULT_LIMITS } from '../config.ts';
import { createTokenIssuer, type TokenIssuer } from '../gateway/auth/issuer.ts';

const LOOPBACK = ['127.0.0.0/8'];

/** How a run of the product is set up; the plain server reads the same. */
export interface Setting {
  /** Everything is kept there. */
  readonly dir: string;
  /** `memory`: adapters answer from this process. `http`: they speak to simulators elsewhere. */
  readonly platforms: 'memory' | 'http';
  /** Slug of the deployed vendor with `http`; default vendor-cloud. */
  readonly vendor?: string;
}

export function issuerOf({ dir }: Setting): Promise<TokenIssuer> {
  return createTokenIssuer({ keyFile: join(dir, 'issuer.jwk') });
}

export function configOf({ dir }: Setting, issuer: TokenIssuer): Config {
  return {
    host: '127.0.0.1',
    port: 0,
    dataDir: dir,
    databaseUrl: `sqlite:${join(dir, 'convergraph.db')}`,
    publicUrl: null,
    auth: { issuer: issuer.issuer, audience: issuer.audience, keys: { keys: issuer.jwks() } },
    masterKey: null,
    outboundAllowCidrs: LOOPBACK,
    corsOrigins: [],
    logLevel: 'warn',
    metricsToken: null,
    // All clients of a load have one token.
    limits: { ...DEFAULT_LIMITS, connectionsPerPrincipal: 100_000 },
  };
}
