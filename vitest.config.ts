import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // graphql 16 has no `exports`: vitest would load its ESM build for our sources and CommonJS for Apollo, two realms.
    alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }],
  },
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', '.sandbox/**'],
    globalSetup: ['test/setup/services.ts'],
    pool: 'forks',
    // Nothing waits by the clock: these bound what hangs, also on a machine that does other things at the same time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
