import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Vendor } from '../define-vendor.ts';
import { createVendorSubgraph } from '../vendor-subgraph.ts';
import type { VendorHost } from '../vendor-host.ts';
import type { Rig } from './rig.ts';

const FIXED_FILES = [
  'README.md',
  'index.ts',
  'settings.ts',
  'wire.ts',
  'client.ts',
  'normalize.ts',
  'adapter.ts',
  'schema.graphql',
];
const README_HEADINGS = ['Coverage', 'Versions', 'Credentials', 'Limits', 'Quality checklist'];

const unused: VendorHost = {
  readDevices: () => Promise.reject(new Error('not asked here')),
  readPlatform: () => Promise.reject(new Error('not asked here')),
  pageDevices: () => Promise.reject(new Error('not asked here')),
  deviceId: (integrationId, nativeId) => `dev_${integrationId}_${nativeId}`,
};

/** The folder and the declaration, before anything runs. */
export function describeDeclaration(vendor: Vendor, rig: () => Rig): void {
  const folder = new URL('./', vendor.schemaPath);

  describe('declaration', () => {
    it.each(FIXED_FILES)('has %s', (file) => {
      expect(existsSync(new URL(file, folder))).toBe(true);
    });

    it('has a simulator beside it', () => {
      expect(['simulator.ts', 'simulator/index.ts'].some((file) => existsSync(new URL(file, folder)))).toBe(true);
    });

    it.each(README_HEADINGS)('says something in its README under %s', (heading) => {
      const readme = readFileSync(new URL('README.md', folder), 'utf8');
      const section = readme.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
      expect(section?.slice(heading.length).trim()).toBeTruthy();
    });

    it('builds a subgraph whose types are the vendor’s device and platform', () => {
      const { schema } = createVendorSubgraph(vendor, [vendor], unused);
      const implementing = (name: string): string[] => {
        const type = schema.getType(name);
        return type !== undefined && 'getFields' in type ? Object.keys(type.getFields()) : [];
      };
      expect(implementing(`${vendor.graphqlName}Device`)).toEqual(expect.arrayContaining(implementing('SourceDevice')));
      expect(implementing(`${vendor.graphqlName}Platform`)).toEqual(expect.arrayContaining(implementing('Platform')));
      expect(implementing('SourceDevice')).not.toEqual([]);
    });

    it('says how events come, with rhythms that can be kept', () => {
      const { webhooks, listens, polls, expectedSilenceMs, syncIntervalMs, pollIntervalMs } = vendor.ingest;
      expect(webhooks || listens || polls).toBe(true);
      expect(vendor.signatureProfiles.length > 0).toBe(webhooks);
      expect(Math.min(expectedSilenceMs, syncIntervalMs, pollIntervalMs)).toBeGreaterThanOrEqual(1_000);
      expect(typeof rig().open().listen === 'function').toBe(listens);
    });

    it('takes the credentials and the signature profile that its simulator hands out', () => {
      const { credentials, simulator } = rig();
      expect(credentials === null ? [] : [credentials.kind]).toEqual(
        vendor.credentialKinds.filter((kind) => kind === credentials?.kind),
      );
      expect(credentials === null).toBe(vendor.credentialKinds.length === 0);
      const { signatureProfile } = simulator.integration;
      expect(
        signatureProfile === null || vendor.signatureProfiles.some((profile) => profile === signatureProfile),
      ).toBe(true);
    });

    it('refuses settings that it does not know: an operator’s slip must not pass for a setting', () => {
      const { simulator } = rig();
      const settings = { ...simulator.integration.settings, noSuchSetting: true };
      expect(vendor.settings.safeParse(settings).success).toBe(false);
    });
  });
}
