import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

/** What scripts need to use the sandbox; the same after every restart. */
export const SandboxCredentials = z.object({
  graphqlUrl: z.string(),
  wsUrl: z.string(),
  /** `admin`, `<org key>`, and `<org key>:site` which is limited to the org's first site. */
  tokens: z.record(z.string(), z.string()),
  orgs: z.array(z.object({ id: z.string(), key: z.string(), name: z.string(), siteIds: z.array(z.string()) })),
  integrations: z.array(
    z.object({
      id: z.string(),
      orgKey: z.string(),
      /** Value of the API's Vendor enum. */
      vendor: z.string(),
      /** These three are null for a platform that does not deliver webhooks. */
      webhookUrl: z.string().nullable(),
      webhookSecret: z.string().nullable(),
      signatureProfile: z.string().nullable(),
      simulatorUrl: z.string(),
    }),
  ),
});
export type SandboxCredentials = z.infer<typeof SandboxCredentials>;

/** @returns null before the sandbox was filled, and when the file is not of this version */
export function readCredentials(file: string): SandboxCredentials | null {
  if (!existsSync(file)) return null;
  try {
    return SandboxCredentials.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}

/** Written aside and renamed: a sandbox that is killed half-way is either filled or not. */
export function writeCredentials(file: string, credentials: SandboxCredentials): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
