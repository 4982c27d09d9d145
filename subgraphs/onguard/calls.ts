// One call to OpenAccess: what every request carries, and what its refusals mean.
import type { ZodType } from 'zod';
import { AdapterError, type AdapterErrorCode } from '../../adapter-kit/adapter-error.ts';
import { parseAnswer } from '../../adapter-kit/http/answer.ts';
import type { HttpAnswer, HttpClient, HttpRequest } from '../../adapter-kit/http/http-client.ts';
import { parseJson } from '../../adapter-kit/json-guard.ts';
import { WireError } from './wire.ts';

/** Selects the behaviour of an operation; mandatory on each, and 1.0 is what every release has. */
const OPERATION_VERSION = '1.0';

/** Statuses whose body says what is wrong. */
const EXPLAINED = [400, 401, 403, 404, 409] as const;

const BAD_SESSION = 'openaccess.general.invalidsessiontoken';
const BAD_APPLICATION = 'openaccess.general.invalidapplicationid';
const BAD_ITEM = 'openaccess.general.invalidrequestitem';
const NOT_FOUND = 'system.not_found';

/** Codes before statuses: which status a code comes with is not documented. */
const BY_CODE = new Map<string, AdapterErrorCode>([
  [BAD_SESSION, 'UNAUTHENTICATED'],
  [BAD_APPLICATION, 'UNAUTHENTICATED'],
  [BAD_ITEM, 'BAD_PAYLOAD'],
  [NOT_FOUND, 'NOT_FOUND'],
]);
const BY_STATUS = new Map<number, AdapterErrorCode>([
  [401, 'UNAUTHENTICATED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
]);

/** A refusal of OpenAccess. */
export class OpenAccessError extends AdapterError {
  /** The platform's own code; null when the answer had none (an HTML page of the web server, for example). */
  readonly openAccessCode: string | null;

  constructor(code: AdapterErrorCode, message: string, openAccessCode: string | null, status: number | null) {
    super(code, message, { status, layer: 'http' });
    this.openAccessCode = openAccessCode;
  }

  get isSession(): boolean {
    return this.openAccessCode === null ? this.code === 'UNAUTHENTICATED' : this.openAccessCode === BAD_SESSION;
  }

  get isLicense(): boolean {
    return this.openAccessCode === BAD_APPLICATION;
  }

  /** A property, type or parameter that this release does not have. */
  get isUnknownItem(): boolean {
    return this.openAccessCode === BAD_ITEM || this.code === 'NOT_FOUND';
  }
}

/** @param text serialised error data of a hub exception, whatever its shape */
export function hubRefusal(what: string, text: string): OpenAccessError {
  const code = /(openaccess|system)(\.[a-z_]+)+/i.exec(text)?.[0].toLowerCase() ?? null;
  const meaning = (code === null ? undefined : BY_CODE.get(code)) ?? 'BAD_PAYLOAD';
  return new OpenAccessError(meaning, `${what} was refused by the event bridge (${code ?? 'no code'})`, code, null);
}

export interface CallRequest extends HttpRequest {
  /** Session token; absent for the calls that need none. */
  readonly token?: string;
}

export interface Calls {
  json<T>(request: CallRequest, schema: ZodType<T>): Promise<T>;
  /** Without our Application-Id: nobody but the platform itself is to see it. */
  bare(path: string, signal: AbortSignal): Promise<HttpAnswer>;
}

export function createCalls(http: HttpClient, applicationId: string): Calls {
  return {
    async json({ token, ...request }, schema) {
      const answer = await http.request({
        ...request,
        query: { ...request.query, version: OPERATION_VERSION },
        headers: {
          ...request.headers,
          'application-id': applicationId,
          ...(token === undefined ? {} : { 'session-token': token }),
        },
        answers: EXPLAINED,
      });
      const what = `${request.method ?? 'GET'} ${request.path}`;
      if (answer.status >= 400) throw refusalOf(answer, what);
      return parseAnswer(answer.body, schema, what);
    },
    bare: (path, signal) => http.request({ path, query: { version: OPERATION_VERSION }, signal, answers: EXPLAINED }),
  };
}

function refusalOf({ status, body }: HttpAnswer, what: string): OpenAccessError {
  const code = codeOf(body);
  const meaning = (code === null ? undefined : BY_CODE.get(code)) ?? BY_STATUS.get(status) ?? 'BAD_PAYLOAD';
  return new OpenAccessError(meaning, `${what} was refused with ${status} (${code ?? 'no code'})`, code, status);
}

/** Bodies may be empty, or HTML when the web server is up and OpenAccess behind it is not. */
function codeOf(body: Uint8Array): string | null {
  try {
    const parsed = WireError.safeParse(parseJson(body));
    return parsed.success ? parsed.data.error.code.toLowerCase().replaceAll(/[^a-z0-9._]/g, '') : null;
  } catch {
    return null;
  }
}
