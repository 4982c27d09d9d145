// The writing part of the gateway: user-defined events, and the Events REST API by which they are triggered and read again.
import { z } from 'zod';
import type { Platform, UserDefinedEvent } from './platform.ts';

export interface RestAnswer {
  readonly status: number;
  readonly body?: unknown;
}

export function failure(httpCode: number, errorText: string): RestAnswer {
  return { status: httpCode, body: { error: { httpCode, details: [{ errorText }] } } };
}

const New = z.object({ name: z.string().min(1) });
/** Only what the documents confirm: anything else in it is refused, so that nobody relies on it. */
const Trigger = z.strictObject({ type: z.string(), source: z.string().optional() });

function parse<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

export function userDefinedRecord({ id, name }: UserDefinedEvent): Readonly<Record<string, unknown>> {
  return {
    displayName: name,
    id,
    name,
    subtype: 'UserDefined',
    relations: { self: { type: 'userDefinedEvents', id } },
  };
}

export function createUserDefinedEvent(platform: Platform, text: string): RestAnswer {
  const wanted = parse(New, text);
  if (wanted === null) return failure(400, 'A name is required');
  if (platform.userDefinedEvents().some(({ name }) => name === wanted.name))
    return failure(400, 'The name is already in use');
  return { status: 201, body: { result: userDefinedRecord(platform.createUserDefinedEvent(wanted.name)) } };
}

function trigger(platform: Platform, text: string): RestAnswer {
  const wanted = parse(Trigger, text);
  if (wanted === null) return failure(400, 'The event cannot be read');
  // A user may trigger what is external, not what devices and servers say.
  if (!platform.userDefinedEvents().some(({ id }) => id === wanted.type))
    return failure(403, 'The type is not external');
  const [collection, id = ''] = wanted.source?.split('/') ?? [];
  if (wanted.source !== undefined && platform.world.devices.get(id)?.collection !== collection)
    return failure(400, 'Unknown source');
  return { status: 202, body: { data: platform.trigger(wanted.type, wanted.source) } };
}

/** `gt:'…'` and `equals:'…'`: the value. */
function operand(text: string | null, operator: string): string | null {
  return text !== null && text.startsWith(`${operator}:'`) ? text.slice(operator.length + 2, -1) : null;
}

export function answerEvents(
  platform: Platform,
  { isStored }: { readonly isStored: boolean },
  { method, url, text }: { readonly method: string; readonly url: URL; readonly text: string },
): RestAnswer {
  if (method === 'POST') return trigger(platform, text);
  const query = url.searchParams;
  const after = operand(query.get('time'), 'gt');
  const source = operand(query.get('source.id'), 'equals');
  const found = (isStored ? platform.triggered() : [])
    .filter((event) => after === null || event.time > after)
    .filter((event) => source === null || event.source.endsWith(`/${source}`));
  const size = Number(query.get('size') ?? 10);
  const from = Number(query.get('page') ?? 0) * size;
  return { status: 200, body: { array: found.slice(from, from + size) } };
}
