import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { describeVendorContract } from '../contract-suite.ts';
import type { Vendor } from '../define-vendor.ts';
import { camelCase, checkNames, pascalCase, renderVendor, ScaffoldError } from './render-vendor.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

// Inside the tree and two folders deep, as a vendor's folder is, so that its imports resolve; hidden from everything else.
const folder = mkdtempSync(join(root, 'test/.scaffold-'));
afterAll(() => rmSync(folder, { recursive: true }));
const files = renderVendor(checkNames('north-star-9', 'North Star & Sons'));
for (const [file, text] of files) writeFileSync(join(folder, file), text);
const generated: { northStar9: Vendor } = await import(/* @vite-ignore */ join(folder, 'index.ts'));

describeVendorContract(generated.northStar9);

describe('scaffold', () => {
  it('names everything after the new vendor', () => {
    expect(generated.northStar9).toMatchObject({
      slug: 'north-star-9',
      enumValue: 'NORTH_STAR_9',
      graphqlName: 'NorthStar9',
      name: 'North Star & Sons',
    });
    for (const text of files.values()) expect(text).not.toMatch(/acme/i);
  });

  it('writes what the compiler accepts under our settings', async () => {
    const config = { extends: '../../tsconfig.json', include: ['./*.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['--noEmit', '-p', folder]);
    expect(stdout).toBe('');
  });

  it.each(['Acme', 'acme_vms', '-acme', 'acme-', '../evil', 'a/b', '', 'inventory', 'switch', 'a'.repeat(41)])(
    'refuses the slug "%s"',
    (slug) => expect(() => checkNames(slug)).toThrow(ScaffoldError),
  );

  it.each(["'; process.exit(); '", '"quoted"', 'a\nb', '`', ''])('refuses the name %j', (name) =>
    expect(() => checkNames('acme', name)).toThrow(ScaffoldError),
  );

  it.each([
    ['milestone', 'Milestone', 'milestone', 'Milestone'],
    ['dc-09-receiver', 'Dc09Receiver', 'dc09Receiver', 'Dc 09 Receiver'],
  ])('makes the names of %s', (slug, pascal, camel, name) => {
    expect([pascalCase(slug), camelCase(slug), checkNames(slug).name]).toEqual([pascal, camel, name]);
  });
});
