import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ASTNode, parse, visit } from 'graphql';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const files = [
  'schema/shared.graphql',
  'schema/vendor.graphql',
  ...readdirSync(join(root, 'subgraphs'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `subgraphs/${entry.name}/schema.graphql`)
    .filter((file) => existsSync(join(root, file))),
];

function isRoot(node: ASTNode): boolean {
  return node.kind === 'ObjectTypeDefinition' && ['Query', 'Mutation', 'Subscription'].includes(node.name.value);
}

/** Coordinates of everything a client can see that nobody described. */
function undescribed(text: string): string[] {
  const missing: string[] = [];
  const path: string[] = [];
  visit(parse(text), {
    enter(node) {
      if (!('description' in node) && !/Definition$/.test(node.kind)) return;
      if (!('name' in node) || node.name === undefined || !('value' in node.name)) return;
      path.push(node.name.value);
      const isDescribed =
        'description' in node && node.description !== undefined && node.description.value.trim() !== '';
      if (!isDescribed && !isRoot(node)) missing.push(path.join('.'));
    },
    leave(node) {
      if (!('description' in node) && !/Definition$/.test(node.kind)) return;
      if ('name' in node && node.name !== undefined && 'value' in node.name) path.pop();
    },
  });
  return missing;
}

describe('descriptions', () => {
  it.each(files)('are on every type, field, argument, value and input of %s', (file) => {
    expect(undescribed(readFileSync(join(root, file), 'utf8'))).toEqual([]);
  });

  it('are missed when they are not there', () => {
    expect(
      undescribed('type A { "B." b("D." d: Int, e: Int): Int c: Int } enum F { G } "H." input H { i: Int }'),
    ).toEqual(['A', 'A.b.e', 'A.c', 'F', 'F.G', 'H.i']);
  });
});
