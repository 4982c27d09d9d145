import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSandbox, query, watch, eventually } from './e2e/rig.ts';

// Every example of the documentation, as a reader would run it.

const root = resolve(import.meta.dirname, '..');
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

interface Example {
  readonly title: string;
  readonly code: string;
}

function examples(language: string): Example[] {
  return pages.flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
      ([, code = ''], index) => ({ title: `${page} ${index + 1}: ${code.trim().split('\n')[0]}`, code }),
    ),
  );
}

let sandbox: Awaited<ReturnType<typeof openSandbox>>;
let variables: Record<string, unknown>;

beforeAll(async () => {
  sandbox = await openSandbox({ devices: 30 });
  const [org] = sandbox.credentials.orgs;
  const [integration] = sandbox.credentials.integrations;
  const platform = sandbox.platforms[0]?.simulator.integration;
  const { data } = await query(
    sandbox,
    'query($org: ID!) { devices(first: 1, filter: { orgId: $org }) { nodes { id } } }',
    { org: org?.id },
  );
  variables = {
    org: org?.id,
    site: org?.siteIds[0],
    integration: integration?.id,
    device: data.devices.nodes[0].id,
    then: new Date().toISOString(),
    from: new Date(Date.now() - 3_600_000).toISOString(),
    to: new Date().toISOString(),
    text: 'camera',
    key: 'documentation',
    in: {
      orgId: org?.id,
      vendor: 'VENDOR_CLOUD',
      name: 'Another',
      baseUrl: platform?.baseUrl,
      credentials: platform?.credentials,
    },
  };
});

afterAll(() => sandbox?.close());

/** The variables that a document declares and that we know. */
function variablesOf(code: string): Record<string, unknown> {
  const names = [...code.matchAll(/\$(\w+): /g)].map(([, name = '']) => name);
  return Object.fromEntries(names.filter((name) => name in variables).map((name) => [name, variables[name]]));
}

/** What the text around an example promises. */
function expectedOf(code: string): RegExp {
  if (code.includes('event-stream')) return /health\.offline[\s\S]*health\.online/;
  if (code.includes('/export/on-prem/')) return /"devices":\[\{"id":"dev_.*"events":\[\{"device_id":"dev_/;
  if (code.includes('/receipts?')) return /"receipts":\[\{"eventId":"receipt-\d+","status":"(PENDING|ACCEPTED)"/;
  if (code.includes('for attempt')) return /"duplicate":true/;
  return /^/;
}

describe('examples of the documentation', () => {
  it('are found', () => {
    expect(examples('graphql').length).toBeGreaterThan(8);
    expect(examples('sh').length).toBeGreaterThan(3);
  });

  it.each(examples('graphql').filter(({ code }) => code.startsWith('subscription')))('$title', async ({ code }) => {
    const feed = watch(sandbox, code, { ...variablesOf(code), after: null });
    try {
      const item = await eventually(() => feed.items[0] ?? feed.errors[0], 'the stream tells something');
      expect(item.errors).toBeUndefined();
      expect(item.data).toBeDefined();
    } finally {
      await feed.close();
    }
  });

  it.each(examples('graphql').filter(({ code }) => !code.startsWith('subscription')))('$title', async ({ code }) => {
    const answer = await query(sandbox, code, variablesOf(code));
    expect(answer.errors).toBeUndefined();
    const outcomes = Object.values<{ userErrors?: unknown[] } | null>(answer.data);
    expect(outcomes).not.toContain(null);
    expect(outcomes.flatMap((outcome) => outcome?.userErrors ?? [])).toEqual([]);
  });

  // The set-up commands are what started this test; the others are run as they stand, in bash.
  it.each(examples('sh').filter(({ code }) => !code.includes('npm ci')))('$title', async ({ code }) => {
    const script = code.replaceAll('.sandbox/env', join(sandbox.dir, 'env'));
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: dirname(sandbox.dir),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const status = await new Promise((done) => child.once('close', done));
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toMatch(/"(data|accepted|duplicate|devices)"/);
    expect(output).not.toMatch(/"errors":|"error":/);
    expect(output).toMatch(expectedOf(code));
  });
});
