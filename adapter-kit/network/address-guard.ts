import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { AdapterError } from '../adapter-error.ts';
import {
  CLOSED_IPV4,
  CLOSED_IPV6,
  CLOSED_PORTS,
  METADATA_HOSTS,
  type NamedRange,
  OPEN_IPV6,
} from './address-ranges.ts';

/** Which networks an operator opened for platforms on site. What is public is open without a rule. */
export interface NetworkPolicy {
  /** CIDR ranges in addition to public addresses, for example `10.20.0.0/16`. Default of the product: none. */
  readonly allow: readonly string[];
  /** Whether `http:` is allowed at all; credentials travel in the clear then. */
  readonly allowHttp: boolean;
}

/** All addresses of a name. The system's resolver unless a test passes its own. */
export type ResolveName = (
  hostname: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Keeps outbound calls away from addresses that a platform's base URL has no business with (SSRF). */
export interface AddressGuard {
  /** Scheme, port, credentials in the URL, and the host when it is an address in any notation. @throws AdapterError */
  checkUrl(url: URL): void;
  /** @param address as a socket or a resolver tells it @throws AdapterError BLOCKED_ADDRESS */
  checkAddress(address: string): void;
  /**
   * A `lookup` for `net.connect`, `tls.connect` and their like: what it answers is what was checked, so the connection
   * cannot go elsewhere than the check looked. One closed address among a name's answers refuses the name.
   * It is not asked for hosts that are addresses already: call `checkUrl` or `checkAddress` for those.
   */
  readonly lookup: LookupFunction;
}

export type LookupFunction = (
  hostname: string,
  options: { readonly all?: boolean | undefined; readonly family?: number | string | undefined },
  done: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/** More answers than any honest name has. */
const MAX_DNS_ANSWERS = 64;

function blocked(message: string): AdapterError {
  return new AdapterError('BLOCKED_ADDRESS', message);
}

function addRange(list: BlockList, cidr: string): void {
  const [range, bits] = ipaddr.parseCIDR(cidr);
  list.addSubnet(range.toString(), bits, range.kind());
}

function listOf(ranges: readonly NamedRange[]): readonly { readonly list: BlockList; readonly what: string }[] {
  return ranges.map(({ cidr, what }) => {
    const list = new BlockList();
    addRange(list, cidr);
    return { list, what };
  });
}

/**
 * @throws TypeError naming the rule of the policy that is not a CIDR range; a rule with host bits set is one of them,
 *   because nobody can tell which range was meant
 */
export function createAddressGuard(policy: NetworkPolicy, resolve: ResolveName = systemLookup): AddressGuard {
  const allowed = new BlockList();
  const allowedHosts = new Set<string>();
  for (const cidr of policy.allow) {
    if (!isNetwork(cidr)) throw new TypeError(`"${cidr}" is not a network in CIDR notation, for example 10.20.0.0/16`);
    addRange(allowed, cidr);
    const [address, bits] = ipaddr.parseCIDR(cidr);
    if (bits === (address.kind() === 'ipv4' ? 32 : 128)) allowedHosts.add(address.toString());
  }
  const closed = { ipv4: listOf(CLOSED_IPV4), ipv6: listOf(CLOSED_IPV6) };
  const openIpv6 = new BlockList();
  addRange(openIpv6, OPEN_IPV6);
  const metadata = new Set(METADATA_HOSTS.map((host) => ipaddr.parse(host).toString()));

  /** @returns why not; null when it is open */
  function refusal(text: string): string | null {
    // A zone (`fe80::1%eth0`) picks an interface; the address before it decides.
    const bare = hexadecimal(text.split('%')[0] ?? '');
    if (isIP(bare) === 0) return 'not an address';
    const address = ipaddr.parse(bare);
    // `::ffff:10.0.0.1` reaches the same host as `10.0.0.1`: rules and the metadata list must see the IPv4 address.
    const target = ipaddr.process(bare);
    if (metadata.has(target.toString())) return allowedHosts.has(target.toString()) ? null : 'a metadata service';
    if (allowed.check(target.toString(), target.kind()) || allowed.check(address.toString(), address.kind()))
      return null;
    const range = closed[address.kind()].find(({ list }) => list.check(address.toString(), address.kind()));
    if (range !== undefined) return range.what;
    return address.kind() === 'ipv6' && !openIpv6.check(address.toString(), 'ipv6') ? 'not global unicast' : null;
  }

  function checkAddress(address: string): void {
    const reason = refusal(address);
    if (reason !== null) throw blocked(`the address ${address.slice(0, 64)} is closed to us: ${reason}`);
  }

  return {
    checkAddress,
    checkUrl(url) {
      if (url.protocol !== 'https:' && url.protocol !== 'http:')
        throw blocked(`the scheme ${url.protocol.slice(0, 32)} is not http or https`);
      if (url.protocol === 'http:' && !policy.allowHttp)
        throw blocked('http is not allowed here: credentials would travel in the clear');
      if (url.username !== '' || url.password !== '')
        throw new AdapterError('MISCONFIGURED', 'a base URL must not contain credentials');
      const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
      if (CLOSED_PORTS.has(port)) throw blocked(`port ${port} belongs to another service`);
      // The URL parser has already turned decimal, octal, hexadecimal, shortened and full-width forms into dotted quads.
      const host = url.hostname.replace(/^\[|\]$/g, '');
      if (isIP(host) !== 0) checkAddress(host);
    },
    lookup(hostname, options, done) {
      const family = options.family === 4 || options.family === 'IPv4' ? 4 : options.family === 6 ? 6 : 0;
      resolve(hostname, { all: true, family }, (error, addresses) => {
        if (error !== null) return done(error, []);
        try {
          if (addresses.length > MAX_DNS_ANSWERS) throw blocked(`the name has more than ${MAX_DNS_ANSWERS} addresses`);
          for (const { address } of addresses) checkAddress(address);
        } catch (refused) {
          return done(refused instanceof Error ? refused : blocked('the name could not be checked'), []);
        }
        const [first] = addresses;
        if (first === undefined) return done(blocked('the name has no address'), []);
        return options.all === true ? done(null, addresses) : done(null, first.address, first.family);
      });
    },
  };
}

/** `::127.0.0.1` as `::7f00:1`: ipaddr.js takes the first for the mapped form, which is another address. */
function hexadecimal(address: string): string {
  const [, head, ...quad] = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address) ?? [];
  if (head === undefined) return address;
  const [a = 0, b = 0, c = 0, d = 0] = quad.map(Number);
  return `${head}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** Whether a text is a network in CIDR notation without host bits: what `NetworkPolicy.allow` takes. */
export function isNetwork(cidr: string): boolean {
  // ipaddr.js also takes octal, shortened and mixed forms, which people and resolvers read differently.
  if (cidr.includes(':') && cidr.includes('.')) return false;
  if (isIP(cidr.split('/')[0] ?? '') === 0 || !ipaddr.isValidCIDR(cidr)) return false;
  const [address, bits] = ipaddr.parseCIDR(cidr);
  const base =
    address.kind() === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${bits}`)
      : ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${bits}`);
  return base.toString() === address.toString();
}
