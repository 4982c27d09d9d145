// Where an outbound call of ours may never go by itself. Every range names what it is, for the refusal's message.
// IPv4: everything is open but these. IPv6: nothing is open but 2000::/3 without these, so that a range which IANA assigns
// tomorrow starts closed.
//
// @see IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates)

export interface NamedRange {
  readonly cidr: string;
  readonly what: string;
}

export const CLOSED_IPV4: readonly NamedRange[] = [
  { cidr: '0.0.0.0/8', what: 'unspecified' },
  { cidr: '10.0.0.0/8', what: 'private' },
  { cidr: '100.64.0.0/10', what: 'carrier-grade NAT' },
  { cidr: '127.0.0.0/8', what: 'loopback' },
  { cidr: '169.254.0.0/16', what: 'link-local' },
  { cidr: '172.16.0.0/12', what: 'private' },
  { cidr: '192.0.0.0/24', what: 'protocol assignment' },
  { cidr: '192.0.2.0/24', what: 'documentation' },
  { cidr: '192.31.196.0/24', what: 'AS112' },
  { cidr: '192.52.193.0/24', what: 'AMT' },
  { cidr: '192.88.99.0/24', what: '6to4 relay' },
  { cidr: '192.168.0.0/16', what: 'private' },
  { cidr: '192.175.48.0/24', what: 'AS112' },
  { cidr: '198.18.0.0/15', what: 'benchmarking' },
  { cidr: '198.51.100.0/24', what: 'documentation' },
  { cidr: '203.0.113.0/24', what: 'documentation' },
  { cidr: '224.0.0.0/4', what: 'multicast' },
  { cidr: '255.255.255.255/32', what: 'broadcast' },
  { cidr: '240.0.0.0/4', what: 'reserved' },
];

/** The only IPv6 space that is handed out for global unicast. */
export const OPEN_IPV6 = '2000::/3';

export const CLOSED_IPV6: readonly NamedRange[] = [
  { cidr: '::/128', what: 'unspecified' },
  { cidr: '::1/128', what: 'loopback' },
  { cidr: '::ffff:0:0/96', what: 'IPv4-mapped' },
  // `::127.0.0.1`: deprecated, still routed to the IPv4 address by some stacks.
  { cidr: '::/96', what: 'IPv4-compatible' },
  { cidr: '64:ff9b::/96', what: 'NAT64' },
  { cidr: '64:ff9b:1::/48', what: 'NAT64' },
  { cidr: '100::/64', what: 'discard' },
  { cidr: '2001::/32', what: 'Teredo' },
  { cidr: '2001:db8::/32', what: 'documentation' },
  { cidr: '2001::/23', what: 'protocol assignment' },
  { cidr: '2002::/16', what: '6to4' },
  { cidr: '2620:4f:8000::/48', what: 'AS112' },
  { cidr: '3fff::/20', what: 'documentation' },
  { cidr: 'fc00::/7', what: 'unique local' },
  { cidr: 'fe80::/10', what: 'link-local' },
  { cidr: 'fec0::/10', what: 'site-local' },
  { cidr: 'ff00::/8', what: 'multicast' },
];

/**
 * Where clouds hand credentials to whoever asks from inside. Open only to a rule that names exactly this host: a rule for
 * the network around it was written for devices, not for this.
 */
export const METADATA_HOSTS: readonly string[] = [
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
];

/**
 * Ports of well-known services that answer nothing like HTTP but can be made to act on a request line.
 *
 * @see WHATWG Fetch, "bad port"
 */
export const CLOSED_PORTS: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
  540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
  6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
]);
