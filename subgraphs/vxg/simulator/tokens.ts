/**
 * Access tokens as the service makes them: Base64 of a JSON object that names its API.
 *
 * @see "REST API", section "Authorization", of the vendor's help
 */
import type { IncomingHttpHeaders } from 'node:http';
import { digest, type World } from './world.ts';

/** Who asks, and what is open to him. */
export type Caller =
  | { readonly scheme: 'LKey' }
  | { readonly scheme: 'SI'; readonly groupId: number }
  | { readonly scheme: 'Acc'; readonly cameraId: number; readonly access: 'all' | 'watch' };

export interface Tokens {
  camera(cameraId: number, access: 'all' | 'watch'): string;
  group(groupId: number): string;
  /** Null: 401. */
  callerOf(headers: IncomingHttpHeaders, query: URLSearchParams): Caller | null;
  /** All tokens that were given out stop being good; license keys stay. */
  revoke(): void;
}

export function createTokens(seed: number, world: World, host: () => string): Tokens {
  let generation = 0;
  const good = new Map<string, Caller>();
  const inner = new Map<string, Caller>();

  function make(label: string, caller: Caller, body: Readonly<Record<string, unknown>>): string {
    const share = Buffer.from(JSON.stringify({ si: digest(seed, label).readUInt16BE(0) })).toString('base64');
    const signature = digest(seed, `${label} ${generation}`).toString('base64url').slice(0, 24);
    const token = `share.${share}.6b1d0c2at.${signature}`;
    const [name, port] = host().split(':');
    const text = {
      cmngrid: world.keys.cameraManager,
      ...body,
      token,
      api: name,
      api_p: Number(port),
      cam: 'cam.invalid',
    };
    const encoded = Buffer.from(JSON.stringify(text)).toString('base64');
    good.set(encoded, caller);
    inner.set(token, caller);
    return encoded;
  }

  return {
    camera: (cameraId, access) =>
      make(`camera ${cameraId} ${access}`, { scheme: 'Acc', cameraId, access }, { camid: cameraId, access }),
    group: (groupId) => make(`group ${groupId}`, { scheme: 'SI', groupId }, { access: 'all' }),
    callerOf(headers, query) {
      const old = query.get('token');
      if (old !== null) return inner.get(old) ?? null;
      // The service takes more than one blank after the scheme.
      const [scheme, secret] = (headers.authorization ?? '').split(/ +/);
      if (scheme === 'LKey') return secret === world.keys.licenseKey ? { scheme } : null;
      const caller = good.get(secret ?? '');
      return caller !== undefined && caller.scheme === scheme ? caller : null;
    },
    revoke() {
      generation += 1;
      good.clear();
      inner.clear();
    },
  };
}
