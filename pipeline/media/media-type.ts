// What may leave by our front door. Nothing that a browser would run: no HTML, no SVG, no PDF.

const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ['image/jpeg', 'jpg'],
  ['image/png', 'png'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
  ['image/avif', 'avif'],
  ['image/bmp', 'bmp'],
  ['video/mp4', 'mp4'],
  ['video/webm', 'webm'],
  ['video/quicktime', 'mov'],
  ['video/x-msvideo', 'avi'],
  ['video/x-matroska', 'mkv'],
  ['video/mpeg', 'mpg'],
  ['video/mp2t', 'ts'],
  ['audio/mpeg', 'mp3'],
  ['audio/mp4', 'm4a'],
  ['audio/wav', 'wav'],
  ['audio/ogg', 'ogg'],
]);

/** How files begin, for platforms that say nothing useful: offset and bytes. */
const BEGINNINGS: readonly (readonly [string, number, string])[] = [
  ['image/jpeg', 0, '\u00ff\u00d8\u00ff'],
  ['image/png', 0, '\u0089PNG\r\n'],
  ['image/gif', 0, 'GIF8'],
  ['image/webp', 8, 'WEBP'],
  ['video/x-msvideo', 8, 'AVI '],
  ['audio/wav', 8, 'WAVE'],
  ['image/avif', 4, 'ftypavif'],
  ['video/quicktime', 4, 'ftypqt'],
  ['video/mp4', 4, 'ftyp'],
  ['video/webm', 0, '\u001a\u0045\u00df\u00a3'],
];

/** A type that may leave, without its parameters; null for any other. */
export function allowedType(declared: string | null | undefined): string | null {
  const type = (declared ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return EXTENSIONS.has(type) ? type : null;
}

/**
 * The type to send: what the bytes begin with, else what the platform says, else what its event said.
 *
 * @param declared most trusted first @returns null when it is nothing that may leave
 */
export function mediaTypeOf(head: Uint8Array, declared: readonly (string | null)[]): string | null {
  const text = Buffer.from(head.subarray(0, 16)).toString('latin1');
  const found = BEGINNINGS.find(([, offset, bytes]) => text.startsWith(bytes, offset));
  if (found !== undefined) return found[0];
  return declared.map(allowedType).find((type) => type !== null) ?? null;
}

export function extensionOf(type: string): string {
  return EXTENSIONS.get(type) ?? 'bin';
}
