/** The customers that the sandbox shows. Keys are what scripts use; names, addresses and zones are what people see. */
export interface SandboxOrg {
  readonly key: string;
  readonly name: string;
  readonly customerRef: string;
  /** Its part of all devices, 0 to 1; the parts add up to 1. */
  readonly share: number;
  readonly sites: readonly SandboxSite[];
}

export interface SandboxSite {
  readonly name: string;
  readonly address: string;
  readonly timezone: string;
  readonly latitude: number;
  readonly longitude: number;
}

export const SANDBOX_ORGS: readonly SandboxOrg[] = [
  {
    key: 'aurora',
    name: 'Aurora Retail Group',
    customerRef: 'C-10021',
    share: 0.5,
    sites: [
      {
        name: 'Aurora Flagship Store',
        address: '12 Regent Street, London',
        timezone: 'Europe/London',
        latitude: 51.5101,
        longitude: -0.134,
      },
      {
        name: 'Aurora Distribution Centre',
        address: '4 Freight Road, Birmingham',
        timezone: 'Europe/London',
        latitude: 52.4862,
        longitude: -1.8904,
      },
      {
        name: 'Aurora Outlet Park',
        address: '77 Mall Avenue, Manchester',
        timezone: 'Europe/London',
        latitude: 53.4808,
        longitude: -2.2426,
      },
      {
        name: 'Aurora Boutique',
        address: '3 Rue Royale, Paris',
        timezone: 'Europe/Paris',
        latitude: 48.8678,
        longitude: 2.3223,
      },
    ],
  },
  {
    key: 'borealis',
    name: 'Borealis Hospitals',
    customerRef: 'C-20417',
    share: 0.3,
    sites: [
      {
        name: 'Borealis Main Campus',
        address: '900 Health Way, Chicago',
        timezone: 'America/Chicago',
        latitude: 41.8781,
        longitude: -87.6298,
      },
      {
        name: 'Borealis Clinic North',
        address: '31 Lake Drive, Milwaukee',
        timezone: 'America/Chicago',
        latitude: 43.0389,
        longitude: -87.9065,
      },
      {
        name: 'Borealis Research Park',
        address: '5 Science Court, Boston',
        timezone: 'America/New_York',
        latitude: 42.3601,
        longitude: -71.0589,
      },
    ],
  },
  {
    key: 'cirrus',
    name: 'Cirrus Logistics',
    customerRef: 'C-30999',
    share: 0.2,
    sites: [
      {
        name: 'Cirrus Harbour Terminal',
        address: '1 Pier Street, Rotterdam',
        timezone: 'Europe/Amsterdam',
        latitude: 51.9244,
        longitude: 4.4777,
      },
      {
        name: 'Cirrus Rail Yard',
        address: '8 Gleisweg, Duisburg',
        timezone: 'Europe/Berlin',
        latitude: 51.4344,
        longitude: 6.7623,
      },
      {
        name: 'Cirrus Air Cargo',
        address: '2 Taxiway B, Tallinn',
        timezone: 'Europe/Tallinn',
        latitude: 59.4133,
        longitude: 24.8328,
      },
    ],
  },
];

/** Splits `devices` over `parts` by their shares; the parts add up exactly and each has at least one. */
export function splitDevices(devices: number, shares: readonly number[]): readonly number[] {
  const counts = shares.map((share) => Math.max(1, Math.floor(devices * share)));
  const rest = devices - counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count, index) => (index === 0 ? Math.max(1, count + rest) : count));
}
