import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, VARIABLES } from './config.ts';

const AUTH = {
  AUTH_ISSUER: 'https://id.example.com',
  AUTH_AUDIENCE: 'convergraph',
  AUTH_JWKS_URL: 'https://id.example.com/jwks.json',
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ variable }) => variable);
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('needs nothing but who signs the tokens', () => {
    const config = loadConfig(AUTH);
    expect(config).toMatchObject({ host: '127.0.0.1', port: 4000, publicUrl: null, masterKey: null, corsOrigins: [] });
    expect(config.databaseUrl).toBe(`sqlite:${config.dataDir}/convergraph.db`);
    expect(config.dataDir.startsWith('/')).toBe(true);
  });

  it('names every bad variable at once', () => {
    const bad = {
      PORT: '4000x',
      DATABASE_URL: 'mysql://db',
      REDIS_URL: 'redis://cache',
      PUBLIC_URL: 'graph.example.com',
      MASTER_KEY: 'short',
      OUTBOUND_ALLOW_CIDRS: '10.0.0.0/8,10.0.0.1/99',
      CORS_ORIGINS: 'https://app.example.com/',
      LOG_LEVEL: 'loud',
      MAX_OPERATION_COST: '0',
    };
    expect(problemsOf(bad)).toEqual(
      expect.arrayContaining([...Object.keys(bad), 'AUTH_ISSUER', 'AUTH_AUDIENCE', 'AUTH_JWKS_URL']),
    );
    expect(() => loadConfig(bad)).toThrow(/PORT: must be a whole number/);
  });

  it('shows no value, which may be a secret', () => {
    expect(() => loadConfig({ ...AUTH, MASTER_KEY: 'hunter2-hunter2' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
    );
  });

  it('takes keys over plain HTTP from this machine only', () => {
    expect(problemsOf({ ...AUTH, AUTH_JWKS_URL: 'http://id.example.com/jwks.json' })).toEqual(['AUTH_JWKS_URL']);
    expect(problemsOf({ ...AUTH, AUTH_JWKS_URL: 'http://127.0.0.1.evil.example/jwks' })).toEqual(['AUTH_JWKS_URL']);
    expect(problemsOf({ ...AUTH, AUTH_JWKS_URL: 'http://127.0.0.1:9000/jwks' })).toEqual([]);
  });

  it.each(VARIABLES)('has %s in its documentation', (variable) => {
    expect(readFileSync(new URL('docs/configuration.md', import.meta.url), 'utf8')).toContain(`\`${variable}\``);
  });

  it('treats an empty variable as absent', () => {
    expect(loadConfig({ ...AUTH, PORT: '', MASTER_KEY: '' })).toMatchObject({ port: 4000, masterKey: null });
    expect(problemsOf({ ...AUTH, AUTH_ISSUER: '' })).toEqual(['AUTH_ISSUER']);
  });

  it('takes lists and a base address as people write them', () => {
    expect(
      loadConfig({
        ...AUTH,
        CORS_ORIGINS: 'https://a.example, http://localhost:3000',
        OUTBOUND_ALLOW_CIDRS: '10.1.0.0/16,fd00::/8',
        PUBLIC_URL: 'https://graph.example.com/',
      }),
    ).toMatchObject({
      corsOrigins: ['https://a.example', 'http://localhost:3000'],
      outboundAllowCidrs: ['10.1.0.0/16', 'fd00::/8'],
      publicUrl: 'https://graph.example.com',
    });
  });
});
