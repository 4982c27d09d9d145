import type { SchemaStep } from './schema-step.ts';

/** Links to media that were used: a key stands here for as long as its link could be tried again. */
export const mediaLinks: SchemaStep = (t) => [
  `create table if not exists "media_links" (
    "key" ${t.bytes} primary key not null,
    "expires_at" ${t.int} not null
  ) ${t.keyTable}`,
  `create index if not exists "media_links_by_expires_at" on "media_links" ("expires_at")`,
];
