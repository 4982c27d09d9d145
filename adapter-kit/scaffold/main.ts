// `npm run vendor:new <slug> [-- --name "Product name"]`: writes the first version of a vendor's folder, which works.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { camelCase, checkNames, renderVendor, ScaffoldError } from './render-vendor.ts';

const SUBGRAPHS = new URL('../../subgraphs/', import.meta.url);

function run(): void {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { name: { type: 'string' } } });
  const [slug, ...rest] = positionals;
  if (slug === undefined || rest.length > 0)
    throw new ScaffoldError('usage: npm run vendor:new <slug> [-- --name "Product name"]');
  const names = checkNames(slug, values.name);
  const folder = new URL(`./${slug}/`, SUBGRAPHS);
  if (existsSync(folder)) throw new ScaffoldError(`${fileURLToPath(folder)} is there already`);
  mkdirSync(folder);
  for (const [file, text] of renderVendor(names)) writeFileSync(new URL(file, folder), text, { flag: 'wx' });
  console.log(`Wrote subgraphs/${slug}. It works against its own simulator.

1. Add it to subgraphs/index.ts:
     import { ${camelCase(slug)} } from './${slug}/index.ts';
   and \`${camelCase(slug)}\` to the list \`vendors\`.
2. npm run codegen && npm run format
3. npx vitest run subgraphs/${slug}
4. Replace wire.ts, client.ts and simulator.ts by the platform's protocol; the contract suite says what is missing.`);
}

try {
  run();
} catch (error) {
  if (!(error instanceof ScaffoldError) && !(error instanceof TypeError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
