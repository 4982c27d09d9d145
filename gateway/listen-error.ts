const REASONS: ReadonlyMap<string | undefined, readonly [code: ListenErrorCode, text: string]> = new Map([
  ['EADDRINUSE', ['PORT_TAKEN', 'another program listens there; stop it, or set PORT']],
  ['EACCES', ['PORT_FORBIDDEN', 'this user may not listen there; ports below 1024 need a privilege']],
  ['EADDRNOTAVAIL', ['HOST_NOT_HERE', 'this machine does not have that address; set HOST']],
  ['ENOTFOUND', ['HOST_NOT_HERE', 'that name is not known; set HOST']],
]);

export type ListenErrorCode = 'PORT_TAKEN' | 'PORT_FORBIDDEN' | 'HOST_NOT_HERE' | 'CANNOT_LISTEN';

/** We cannot listen where we were told to. The message is one line that says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: ListenErrorCode;

  constructor(host: string, port: number, cause: NodeJS.ErrnoException) {
    const [code, text] = REASONS.get(cause.code) ?? (['CANNOT_LISTEN', cause.code ?? 'unknown reason'] as const);
    super(`Cannot listen on ${host} port ${port}: ${text}.`, { cause });
    this.code = code;
  }
}
