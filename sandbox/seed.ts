import { z } from 'zod';
import type { Simulator } from '../adapter-kit/simulator.ts';
import type { SandboxCredentials } from './credentials.ts';
import type { GraphqlClient } from './graphql-client.ts';
import type { Platform } from './platforms.ts';
import { SANDBOX_ORGS, type SandboxOrg } from './world.ts';

// Fills the sandbox as an operator would: through the public API, platform by platform.

const userErrors = z.array(z.object({ code: z.string(), message: z.string() }));

function expectDone(what: string, errors: z.infer<typeof userErrors>): void {
  if (errors.length > 0)
    throw new Error(`The sandbox could not ${what}: ${errors.map(({ message }) => message).join('; ')}`);
}

async function createOrg(call: GraphqlClient, org: SandboxOrg) {
  const { createOrg: created } = await call(
    `mutation CreateOrg($input: CreateOrgInput!) { createOrg(input: $input) { org { id } userErrors { code message } } }`,
    { input: { name: org.name, customerRef: org.customerRef } },
    z.object({ createOrg: z.object({ org: z.object({ id: z.string() }).nullable(), userErrors }) }),
  );
  expectDone(`create ${org.name}`, created.userErrors);
  const id = z.string().parse(created.org?.id);
  const siteIds: string[] = [];
  for (const site of org.sites) {
    const { createSite } = await call(
      `mutation CreateSite($input: CreateSiteInput!) { createSite(input: $input) { site { id } userErrors { code message } } }`,
      { input: { orgId: id, ...site } },
      z.object({ createSite: z.object({ site: z.object({ id: z.string() }).nullable(), userErrors }) }),
    );
    expectDone(`create ${site.name}`, createSite.userErrors);
    siteIds.push(z.string().parse(createSite.site?.id));
  }
  return { id, key: org.key, name: org.name, siteIds };
}

async function connect(
  call: GraphqlClient,
  { org, vendor, simulator }: Platform,
  { id: orgId, siteIds }: { readonly id: string; readonly siteIds: readonly string[] },
): Promise<SandboxCredentials['integrations'][number]> {
  const { baseUrl, credentials, settings, signatureProfile } = simulator.integration;
  // Each org shows another of the vendor's signature profiles, beginning with its usual one.
  const profiles = vendor.signatureProfiles;
  const profile = profiles[SANDBOX_ORGS.indexOf(org) % Math.max(1, profiles.length)] ?? signatureProfile;
  const { createIntegration } = await call(
    `mutation Connect($input: CreateIntegrationInput!) {
      createIntegration(input: $input) {
        integration { id webhook { url signatureProfile } }
        webhookSecretOnce
        userErrors { code message }
      }
    }`,
    {
      input: {
        idempotencyKey: `sandbox-${org.key}-${vendor.slug}`,
        integration: {
          orgId,
          vendor: vendor.enumValue,
          name: `${org.name} ${vendor.name}`,
          baseUrl,
          // Who signs and is not asked has none.
          credentials: Object.keys(credentials).length === 0 ? null : credentials,
          settings,
          signatureProfile: profile,
        },
      },
    },
    z.object({
      createIntegration: z.object({
        integration: z
          .object({ id: z.string(), webhook: z.object({ url: z.string(), signatureProfile: z.string() }).nullable() })
          .nullable(),
        webhookSecretOnce: z.string().nullable(),
        userErrors,
      }),
    }),
  );
  expectDone(`connect ${vendor.name} of ${org.name}`, createIntegration.userErrors);
  const integration = createIntegration.integration;
  if (integration === null) throw new Error(`The sandbox could not connect ${vendor.name} of ${org.name}`);
  for (const [index, site] of simulator.sites().entries()) {
    const { bindSite } = await call(
      `mutation Bind($input: BindSiteInput!) { bindSite(input: $input) { binding { id } userErrors { code message } } }`,
      {
        input: {
          integrationId: integration.id,
          vendorOrgId: site.nativeOrgId,
          vendorSiteId: site.nativeId,
          siteId: siteIds[index],
        },
      },
      z.object({ bindSite: z.object({ userErrors }) }),
    );
    // A platform with few devices may know no site that has none.
    const problems = bindSite.userErrors.filter(({ code }) => code !== 'NOT_FOUND');
    expectDone(`bind ${site.name}`, problems);
  }
  return {
    id: integration.id,
    orgKey: org.key,
    vendor: vendor.enumValue,
    webhookUrl: integration.webhook?.url ?? null,
    webhookSecret: createIntegration.webhookSecretOnce,
    signatureProfile: integration.webhook?.signatureProfile ?? null,
    simulatorUrl: simulator.url,
  };
}

/** Where a platform has no webhook API, an operator enters address and secret in its portal. */
export function tellPlatform(
  simulator: Simulator,
  { webhookUrl, webhookSecret, signatureProfile }: SandboxCredentials['integrations'][number],
): void {
  if (webhookUrl === null || webhookSecret === null || signatureProfile === null) return;
  simulator.connectWebhook({ url: webhookUrl, profile: signatureProfile, secret: webhookSecret });
}

async function syncNow(call: GraphqlClient, integrationId: string): Promise<void> {
  const { syncIntegration } = await call(
    `mutation Sync($input: SyncIntegrationInput!) { syncIntegration(input: $input) { run { id } userErrors { code message } } }`,
    { input: { integrationId, idempotencyKey: 'sandbox-after-binding' } },
    z.object({ syncIntegration: z.object({ userErrors }) }),
  );
  expectDone('read the inventory', syncIntegration.userErrors);
}

/**
 * Creates the orgs and sites, connects every platform, binds its sites and reads its inventory.
 *
 * @param customers default: those of the sandbox
 */
export async function seed(
  call: GraphqlClient,
  platforms: readonly Platform[],
  customers: readonly SandboxOrg[] = SANDBOX_ORGS,
): Promise<Pick<SandboxCredentials, 'orgs' | 'integrations'>> {
  const orgs: SandboxCredentials['orgs'] = [];
  for (const org of customers) orgs.push(await createOrg(call, org));
  const integrations = await Promise.all(
    platforms.map((platform) => {
      const org = orgs.find(({ key }) => key === platform.org.key);
      if (org === undefined) throw new Error(`no org ${platform.org.key}`);
      return connect(call, platform, org);
    }),
  );
  for (const [index, { simulator }] of platforms.entries()) {
    const integration = integrations[index];
    if (integration !== undefined) tellPlatform(simulator, integration);
  }
  // Whoever only pushes has begun to when it was told where.
  const asked = integrations.filter((_, index) => platforms[index]?.vendor.ingest.pushOnly !== true);
  await Promise.all(asked.map(({ id }) => syncNow(call, id)));
  return { orgs, integrations };
}
