/**
 * Self-signed certificates for simulated platforms over TLS: Node makes keys but no certificates, and a test must not depend
 * on a tool of the machine. ECDSA P-256 with SHA-256, one subject, good for itself as an authority.
 *
 * @see RFC 5280 sections 4.1 and 4.2; ITU-T X.690 for the encoding
 */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface CertificateOptions {
  /** DNS names and IPv4 addresses it is good for. */
  readonly hosts: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface Certificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** SHA-256, hexadecimal with colons. */
  readonly fingerprint: string;
}

const TAG = { integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, time: 0x18, sequence: 0x30, set: 0x31 };
const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
  basicConstraints: [0x55, 0x1d, 0x13],
};
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const oid = (bytes: readonly number[]): Buffer => der(TAG.oid, Buffer.from(bytes));
const algorithm = der(TAG.sequence, oid(OID.ecdsaWithSha256));

function time(at: Date): Buffer {
  return der(TAG.time, Buffer.from(`${at.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`));
}

function nameOf(host: string): Buffer {
  return der(TAG.sequence, der(TAG.set, der(TAG.sequence, oid(OID.commonName), der(TAG.utf8, Buffer.from(host)))));
}

function extension(id: readonly number[], value: Buffer): Buffer {
  return der(TAG.sequence, oid(id), der(TAG.octets, value));
}

function altName(host: string): Buffer {
  // Context tags of GeneralName: 7 is an address, 2 a DNS name.
  return isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host));
}

/** @throws TypeError without a host */
export function createCertificate({ hosts, notBefore, notAfter }: CertificateOptions): Certificate {
  const [subject] = hosts;
  if (subject === undefined) throw new TypeError('a certificate needs a host');
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const extensions = der(
    TAG.sequence,
    extension(OID.subjectAltName, der(TAG.sequence, ...hosts.map(altName))),
    extension(OID.basicConstraints, der(TAG.sequence, TRUE)),
  );
  // A first byte below 0x80 keeps the serial number positive, one above 0 keeps its encoding the shortest.
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  const toBeSigned = der(
    TAG.sequence,
    der(0xa0, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serial),
    algorithm,
    nameOf(subject),
    der(TAG.sequence, time(notBefore), time(notAfter)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = der(TAG.bits, Buffer.from([0]), sign('sha256', toBeSigned, privateKey));
  const certificate = new X509Certificate(der(TAG.sequence, toBeSigned, algorithm, signature));
  return {
    certificatePem: certificate.toString(),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: certificate.fingerprint256,
  };
}
