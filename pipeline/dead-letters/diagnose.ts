// What would mend a dead letter, in sentences for an operator. Pure: everything is read from the letter itself.
import { z } from 'zod';
import type { DeadLetterStage } from '../../schema/words.ts';
import type { DeadLetterRow } from '../../storage/inbox-dead-letters.ts';

/** What is looked at of a letter. */
export type Diagnosed = Pick<DeadLetterRow, 'reason' | 'headers' | 'head' | 'received_at' | 'diagnosis' | 'replays'>;

const Sentences = z.array(z.string()).catch([]);
const Headers = z.record(z.string(), z.string()).catch({});

const SIGNATURE = [
  'Compare the signing secret at the platform with the one of this integration; rotateWebhookSecret makes a new one.',
  'Compare the signature profile of this integration with what the platform sends.',
  'If a proxy stands between, make sure that it does not change the body.',
];

function ofSignature({ diagnosis }: Diagnosed): readonly string[] {
  const found = diagnosis === null ? [] : Sentences.parse(JSON.parse(diagnosis));
  // Not every refusal is examined: a sender with a mistake makes the same one each time.
  return found.length > 0 ? found : SIGNATURE;
}

const MINUTE_S = 60;
const HALF_HOUR_S = 1_800;
/** No clock is wrong by as much as ten years unless it was never set or counts something else. */
const YEARS_S = 10 * 365 * 86_400;
/** Offsets of local times are whole quarters of an hour; the clocks themselves differ by less than this. */
const NEAR_S = 5 * MINUTE_S;

function lengthOf(seconds: number): string {
  if (seconds < 2 * MINUTE_S) return `${seconds} s`;
  if (seconds < 2 * 60 * MINUTE_S) return `${Math.round(seconds / MINUTE_S)} min`;
  return `${(seconds / 3_600).toFixed(1)} h`;
}

function ofReplayWindow({ headers, received_at: receivedAt }: Diagnosed): readonly string[] {
  const sent = Headers.parse(JSON.parse(headers));
  const text = sent['webhook-timestamp'] ?? sent['x-webhook-timestamp'];
  const lateBy = text === undefined ? Number.NaN : Math.floor(receivedAt / 1_000) - Number(text);
  if (!Number.isSafeInteger(lateBy)) return ['Compare the clock of the sending platform with true time.'];
  const off = Math.abs(lateBy);
  const size = `The timestamp is ${lengthOf(off)} ${lateBy > 0 ? 'behind' : 'ahead of'} our clock.`;
  const isZone = off >= HALF_HOUR_S - NEAR_S && off % HALF_HOUR_S < NEAR_S;
  if (off > YEARS_S) return [size, 'It does not count seconds since 1970; write Unix seconds.'];
  return [
    size,
    ...(isZone ? ['That is near whole half hours: a local time may have been taken for UTC.'] : []),
    lateBy > 0
      ? 'If it was sent again, sign each attempt anew, with the time of that attempt; otherwise set the clock of the sender.'
      : 'Set the clock of the sender: both should follow the same time source.',
    'If the platform delivers late on purpose, widen webhookToleranceSeconds in the settings of this integration.',
  ];
}

const MAGIC: readonly (readonly [readonly number[], string])[] = [
  [[0x1f, 0x8b], 'The body is compressed with gzip and does not say so: set content-encoding, or send it plain.'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'The body is compressed with Zstandard: send it plain.'],
  [[0x78, 0x9c], 'The body is compressed with deflate: send it plain.'],
  [[0x50, 0x4b, 0x03, 0x04], 'The body is a ZIP archive: send its content.'],
  [[0xff, 0xfe], 'The body is UTF-16: send UTF-8.'],
  [[0xfe, 0xff], 'The body is UTF-16: send UTF-8.'],
  [[0xef, 0xbb, 0xbf], 'The body begins with a byte order mark: leave it out.'],
];

function lookOf(head: Uint8Array): readonly string[] {
  if (head.byteLength === 0) return ['The body is empty.'];
  const magic = MAGIC.filter(([bytes]) => bytes.every((byte, at) => head[at] === byte)).map(([, said]) => said);
  const text = Buffer.from(head).toString('latin1').trimStart();
  if (text.startsWith('<')) return [...magic, 'The body is XML or HTML where JSON is expected.'];
  if (/^[\w.-]{1,40}=/.test(text)) return [...magic, 'The body is an HTML form: send the JSON itself as the body.'];
  if (/^'|^\{\s*'/.test(text)) return [...magic, 'The body has single quotes: it was printed, not written as JSON.'];
  if (text.startsWith('"')) return [...magic, 'The body is one JSON string: its content was encoded twice.'];
  return magic;
}

function ofParse({ head, reason }: Diagnosed): readonly string[] {
  const place = /from character \d+/.test(reason ?? '') ? ['The reason says where reading stopped.'] : [];
  return [
    ...lookOf(head),
    ...place,
    'Ask the vendor why the body is not what its content type says; after a repair of the decoder, replay this letter.',
  ];
}

const QUOTED_SITE = /vendor site "([^"]{1,80})"/;
const QUOTED_DEVICE = /device "([^"]{1,80})"/;

function ofBinding({ reason }: Diagnosed): readonly string[] {
  const [, site] = QUOTED_SITE.exec(reason ?? '') ?? [];
  return [
    site === undefined
      ? 'Bind the vendor site that the reason names with bindSite; what waits for it is replayed then.'
      : `Bind vendor site "${site}" with bindSite (vendorSites lists it with its account); what waits for it is replayed then.`,
  ];
}

function ofMapping({ reason }: Diagnosed): readonly string[] {
  const [, device] = QUOTED_DEVICE.exec(reason ?? '') ?? [];
  return [
    device === undefined
      ? 'Run syncIntegration: when the device appears in the inventory, what waits for it is replayed.'
      : `Run syncIntegration: when device "${device}" appears in the inventory, what waits for it is replayed.`,
    'If it does not appear, the credential may not see the device, or the platform sends another id in events.',
  ];
}

const BY_STAGE: Readonly<Record<DeadLetterStage, (letter: Diagnosed) => readonly string[]>> = {
  SIGNATURE: ofSignature,
  REPLAY_WINDOW: ofReplayWindow,
  PARSE: ofParse,
  SCHEMA: () => [
    'Compare the body with the JSON Schema of the vendor contract: the reason names the member and what is wrong with it.',
    'If the vendor uses another name for the member, add it to the aliases in the settings and replay this letter.',
  ],
  BINDING: ofBinding,
  MAPPING: ofMapping,
  DELIVERY: () => [
    'The processing failed on our side: report the id of this letter, and replay it after the next release.',
  ],
};

/** What would mend a dead letter, in sentences for an operator; never empty. */
export function diagnose(stage: DeadLetterStage, letter: Diagnosed): readonly string[] {
  const replayed =
    letter.replays === 0
      ? []
      : [`It was replayed ${letter.replays === 1 ? 'once' : `${letter.replays} times`} in vain.`];
  return [...BY_STAGE[stage](letter), ...replayed];
}
