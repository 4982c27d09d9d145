// The event codes of a simulated system: numbers that are different for every seed, so that nobody can rely on them.
import { createRandom } from './world.ts';

interface Code {
  readonly typeId: number;
  readonly subTypeId: number;
}

const TYPES = [
  'Access Granted',
  'Access Denied',
  'Duress',
  'Area APB',
  'System',
  'Trouble',
  'Asset',
  'Fire',
  'Intercom',
  'Video',
  'Transmitter',
  'Burglary',
];

const DESCRIPTIONS: readonly (readonly [string, string, string])[] = [
  ['Access Granted', 'Granted Access', 'Zutritt gewährt'],
  ['Access Denied', 'Access Denied: Invalid Access Level', 'Zutritt verweigert'],
  ['Duress', 'Access Granted Under Duress', 'Bedrohung'],
  ['System', 'Communications Lost', 'Verbindung verloren'],
  ['System', 'Communications Restored', 'Verbindung wiederhergestellt'],
  ['System', 'Door Forced Open', 'Tür aufgebrochen'],
  ['System', 'Door Forced Open Restored', 'Tür geschlossen'],
  ['System', 'Door Held Open', 'Tür offen gehalten'],
  ['System', 'Door Held Open Restored', 'Tür wieder zu'],
  ['System', 'Cabinet Tamper', 'Gehäuse offen'],
  ['System', 'Cabinet Tamper Restored', 'Gehäuse geschlossen'],
  ['Trouble', 'Power Failure', 'Netzausfall'],
  ['Trouble', 'Power Restored', 'Netz wieder da'],
  ['Trouble', 'Ground Loop Fault', 'Erdschluss'],
  ['Fire', 'Smoke Detected', 'Rauch'],
  ['Burglary', 'Zone 4', 'Zone 4'],
  ['Video', 'Video Source Signal Lost', 'Videosignal verloren'],
  ['Asset', 'Asset Moved', 'Gegenstand bewegt'],
];

export interface CodeBook {
  /** Description to code; one that is new gets one. */
  codeOf(description: string, typeName?: string): Code;
  say(description: string, isGerman: boolean): string;
  readonly types: () => readonly Record<string, unknown>[];
  readonly subtypes: (isGerman: boolean) => readonly Record<string, unknown>[];
}

export function createCodeBook(seed: number): CodeBook {
  const random = createRandom(seed ^ 0x0c0de);
  const codes = new Map<string, Code>();
  const german = new Map(DESCRIPTIONS.map(([, english, other]) => [english, other]));
  let next = 9_000 + Math.floor(random() * 500);

  function codeOf(description: string, typeName = 'System'): Code {
    const known = codes.get(description);
    if (known !== undefined) return known;
    next += 1 + Math.floor(random() * 20);
    const code = { typeId: Math.max(0, TYPES.indexOf(typeName)), subTypeId: next };
    codes.set(description, code);
    return code;
  }
  for (const [typeName, description] of DESCRIPTIONS) codeOf(description, typeName);

  const say = (description: string, isGerman: boolean): string =>
    isGerman ? (german.get(description) ?? description) : description;

  return {
    codeOf,
    say,
    types: () => TYPES.map((Description, ID) => ({ ID, Description })),
    subtypes: (isGerman) =>
      DESCRIPTIONS.map(([typeName, description], index) => {
        const { typeId, subTypeId } = codeOf(description, typeName);
        return {
          Category: 0,
          Description: say(description, isGerman),
          ID: index + 1,
          SubTypeID: subTypeId,
          SupportParameters: false,
          TypeID: typeId,
        };
      }),
  };
}
