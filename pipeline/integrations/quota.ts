// What is left of a platform's rate limit, as its answers state it. There are three ways of writing it.
// @see draft-ietf-httpapi-ratelimit-headers (fields RateLimit and RateLimit-Policy; RateLimit-* in its earlier versions)

/** What a platform lets us ask. */
export interface VendorQuota {
  /** Calls per window. */
  readonly limit: number;
  readonly windowMs: number;
  readonly remaining: number;
  /** Milliseconds since the epoch. */
  readonly resetsAt: number;
}

/** Resets that are larger than this are instants and no spans: 30 years in seconds. */
const LARGEST_SPAN_SECONDS = 1_000_000_000;
/** A window that nobody states is as long as what is left of it, but never longer than a day. */
const MAX_WINDOW_MS = 86_400_000;
/** Integrations whose quota is remembered; the oldest word is forgotten first. */
const MAX_QUOTAS = 10_000;

function count(text: string | undefined): number | null {
  const digits = /^\s*(\d{1,15})\b/.exec(text ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

/** A parameter of a structured field: `"default";r=50;t=30`. */
function parameter(text: string | undefined, name: string): number | null {
  return count(new RegExp(`;\\s*${name}=(\\d{1,15})`).exec(text ?? '')?.[1]);
}

/**
 * Reads the headers of one answer.
 *
 * @param headers lower-case names
 * @param now milliseconds since the epoch
 * @returns null when they state no limit
 */
export function readQuota(headers: Readonly<Record<string, string>>, now: number): VendorQuota | null {
  const policy = headers['ratelimit-policy'];
  const named = (word: string): number | null => count(headers[`ratelimit-${word}`] ?? headers[`x-ratelimit-${word}`]);
  const remaining = parameter(headers['ratelimit'], 'r') ?? named('remaining');
  const limit = parameter(policy, 'q') ?? named('limit');
  const reset = parameter(headers['ratelimit'], 't') ?? named('reset');
  if (remaining === null || limit === null || reset === null || limit < remaining) return null;
  const resetsAt = reset > LARGEST_SPAN_SECONDS ? reset * 1_000 : now + reset * 1_000;
  const windowMs = (parameter(policy, 'w') ?? 0) * 1_000 || Math.min(Math.max(resetsAt - now, 0), MAX_WINDOW_MS);
  return { limit, windowMs, remaining, resetsAt };
}

/** The newest word of each platform, as this process heard it. */
export interface Quotas {
  note(integrationId: string, headers: Readonly<Record<string, string>>): void;
  /** Null when the platform states no limit, was not asked yet, or the window is over. */
  of(integrationId: string): VendorQuota | null;
}

/** @param now milliseconds since the epoch */
export function createQuotas(now: () => number): Quotas {
  const known = new Map<string, VendorQuota>();
  return {
    note(integrationId, headers) {
      const quota = readQuota(headers, now());
      if (quota === null) return;
      known.delete(integrationId);
      known.set(integrationId, quota);
      const [oldest] = known.keys();
      if (known.size > MAX_QUOTAS && oldest !== undefined) known.delete(oldest);
    },
    of(integrationId) {
      const quota = known.get(integrationId);
      return quota === undefined || quota.resetsAt < now() ? null : quota;
    },
  };
}
