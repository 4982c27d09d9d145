import type { Credentials, Vendor } from '../../adapter-kit/define-vendor.ts';
import type { SignatureProfile, UserError } from '../../schema/words.ts';
import { parseCredentials } from './credentials.ts';
import type { CredentialsInput, IntegrationInput } from './payloads.ts';
import { userError } from './user-errors.ts';

const MAX_NAME = 200;
const MAX_URL = 2_000;
/** Longest settings: word tables of a vendor fit many times. */
const MAX_SETTINGS = 64 * 1_024;
/** Errors told at once; the first ones are enough to go on. */
const MAX_ISSUES = 10;

/** What an operator typed, found sound; not yet tried at the platform. */
export interface IntegrationDraft {
  readonly vendor: Vendor;
  readonly name: string;
  readonly baseUrl: URL | null;
  readonly credentials: Credentials | null;
  /** As typed, JSON: what a later version of the vendor's schema reads again. */
  readonly settingsText: string;
  /** As the vendor's schema parsed them. */
  readonly settings: unknown;
  readonly signatureProfile: SignatureProfile | null;
}

/** A value, or all that is wrong with it. */
export type Parsed<T> = { readonly value: T } | { readonly errors: UserError[] };

export function parseName(name: string): Parsed<string> {
  const value = name.trim();
  if (value.length > 0 && value.length <= MAX_NAME && !value.includes('\0')) return { value };
  return { errors: [userError('INVALID', `A name has 1 to ${MAX_NAME} characters.`, ['name'])] };
}

export function parseSettingsInput(
  vendor: Vendor,
  input: unknown,
): Parsed<{ readonly text: string; readonly settings: unknown }> {
  const given = input ?? {};
  const text = JSON.stringify(given);
  if (typeof given !== 'object' || Array.isArray(given) || text.length > MAX_SETTINGS) {
    return {
      errors: [userError('INVALID', `Settings are an object of at most ${MAX_SETTINGS} characters.`, ['settings'])],
    };
  }
  const parsed = vendor.settings.safeParse(given);
  if (parsed.success) return { value: { text, settings: parsed.data } };
  return {
    errors: parsed.error.issues
      .slice(0, MAX_ISSUES)
      .map(({ message, path }) =>
        userError('INVALID', message, ['settings', ...path.map(String)], `See the README of ${vendor.slug}.`),
      ),
  };
}

export function parseCredentialsInput(
  vendor: Vendor,
  input: CredentialsInput | null | undefined,
): Parsed<Credentials | null> {
  const kinds = vendor.credentialKinds.join(', ');
  if (input === null || input === undefined) {
    if (vendor.credentialKinds.length === 0) return { value: null };
    return { errors: [userError('INVALID', `${vendor.name} needs credentials: one of ${kinds}.`, ['credentials'])] };
  }
  const parsed = parseCredentials(input);
  if ('path' in parsed) return { errors: [userError('INVALID', parsed.message, parsed.path)] };
  if (vendor.credentialKinds.includes(parsed.credentials.kind)) return { value: parsed.credentials };
  const message = `${vendor.name} takes ${kinds === '' ? 'no credentials' : `these kinds of credentials: ${kinds}`}.`;
  return { errors: [userError('INVALID', message, ['credentials', parsed.credentials.kind])] };
}

function parseBaseUrl(url: URL | null | undefined): Parsed<URL | null> {
  if (url === null || url === undefined) return { value: null };
  const wrong = (message: string): Parsed<never> => ({ errors: [userError('INVALID', message, ['baseUrl'])] });
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return wrong('An address begins with https://.');
  if (url.href.length > MAX_URL) return wrong(`An address has at most ${MAX_URL} characters.`);
  // It would be shown and logged wherever the address is.
  if (url.username !== '' || url.password !== '')
    return wrong('Give user name and password as credentials, not in the address.');
  return { value: url };
}

function parseProfile(vendor: Vendor, profile: SignatureProfile | null | undefined): Parsed<SignatureProfile | null> {
  if (!vendor.ingest.webhooks) return { value: null };
  const [usual] = vendor.signatureProfiles;
  const value = profile ?? usual ?? null;
  if (value !== null && vendor.signatureProfiles.includes(value)) return { value };
  const message = `${vendor.name} signs with one of ${vendor.signatureProfiles.join(', ')}.`;
  return { errors: [userError('INVALID', message, ['signatureProfile'])] };
}

/** Checks everything that can be checked without asking the platform. Paths are from the integration's input. */
export function parseDraft(vendors: Iterable<Vendor>, input: IntegrationInput): Parsed<IntegrationDraft> {
  const vendor = [...vendors].find(({ enumValue }) => enumValue === input.vendor);
  if (vendor === undefined) {
    return { errors: [userError('INVALID', 'This vendor is not part of this deployment.', ['vendor'])] };
  }
  const name = parseName(input.name);
  const baseUrl = parseBaseUrl(input.baseUrl);
  const credentials = parseCredentialsInput(vendor, input.credentials);
  const settings = parseSettingsInput(vendor, input.settings);
  const profile = parseProfile(vendor, input.signatureProfile);
  if (
    'errors' in name ||
    'errors' in baseUrl ||
    'errors' in credentials ||
    'errors' in settings ||
    'errors' in profile
  ) {
    const all: readonly Parsed<unknown>[] = [name, baseUrl, credentials, settings, profile];
    return { errors: all.flatMap((part) => ('errors' in part ? part.errors : [])) };
  }
  return {
    value: {
      vendor,
      name: name.value,
      baseUrl: baseUrl.value,
      credentials: credentials.value,
      settingsText: settings.value.text,
      settings: settings.value.settings,
      signatureProfile: profile.value,
    },
  };
}

/** The same errors, seen from an input one level up. */
export function under(parent: string, errors: readonly UserError[]): UserError[] {
  return errors.map((error) => ({ ...error, path: error.path === null ? null : [parent, ...error.path] }));
}
