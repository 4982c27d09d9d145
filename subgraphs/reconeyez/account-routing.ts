/**
 * The account of a device at a monitoring station, which installers write into its description. Data: one grammar a system.
 *
 * @see Reconeyez "JSON Webhook integration" (2023-08-11), "SIA DC-09 integration" and "Stages integration" (2024-07-22);
 *   "Integration – technical overview" (2024-05-30) for Immix, Sentinel and Patriot: one example each
 */
export interface RoutedAccount {
  /** The kind of integration that reads it. */
  readonly system: 'Json' | 'SIA' | 'Stages' | 'Immix' | 'Sentinel' | 'Patriot';
  readonly account: string;
  readonly receiver: string | null;
  /** Line number, or account prefix. */
  readonly line: string | null;
  /** Partition of the account. */
  readonly group: string | null;
  readonly zone: string | null;
  /** As it stands there, without the system. */
  readonly text: string;
}

const GRAMMARS: readonly (readonly [RoutedAccount['system'], RegExp])[] = [
  ['Json', /^#(?<account>[^\s|#-]{1,40})(?:\|(?<group>[^\s|-]{0,3}))?(?:-(?<zone>[^\s|-]{0,3}))?$/],
  [
    'SIA',
    /^(?:R(?<receiver>[0-9A-F]{1,6}))?(?:L(?<line>[0-9A-F]{1,6}))?#(?<account>[0-9A-F]{3,16})(?:\|(?<group>[0-9A-F]{1,4}))?(?:-(?<zone>[0-9A-F]{1,4}))?$/i,
  ],
  [
    'Stages',
    /^(?:R(?<receiver>\d{1,10}))?L(?<line>\d{1,10})#(?<account>\d{1,20})(?:\|(?<group>\d{1,10}))?(?:-(?<zone>\d{1,10}))?$/,
  ],
  ['Immix', /^(?<account>S\d{1,20})$/],
  ['Sentinel', /^(?<account>\d{1,20})$/],
  ['Patriot', /^(?<account>\w{1,20})-(?<group>\w{1,10})$/],
];

/** One description; the platform's own field is shorter. */
const MAX_DESCRIPTION = 1_000;
const MAX_ACCOUNTS = 10;
const TOKEN = /^(\w{1,20}):(\S{1,100})$/;

/** @returns every account that the description names; a description without any is a plain comment */
export function parseAccounts(description: string): readonly RoutedAccount[] {
  const found: RoutedAccount[] = [];
  for (const token of description.slice(0, MAX_DESCRIPTION).split(/[\s,;]+/)) {
    const [, name = '', text = ''] = TOKEN.exec(token) ?? [];
    const [system, grammar] = GRAMMARS.find(([known]) => known.toLowerCase() === name.toLowerCase()) ?? [];
    const groups = grammar?.exec(text)?.groups;
    if (system === undefined || groups === undefined || found.length >= MAX_ACCOUNTS) continue;
    const { account = '', receiver = null, line = null, group, zone } = groups;
    found.push({ system, account, receiver, line, group: group || null, zone: zone || null, text });
  }
  return found;
}
