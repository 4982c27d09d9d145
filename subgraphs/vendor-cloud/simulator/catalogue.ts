// What a simulated platform is made of.

/** A kind of equipment: the platform's word, how many of a hundred, and what hangs on what. */
export interface Kind {
  readonly word: string;
  readonly label: string;
  readonly share: number;
  readonly parent: 'recorder' | 'panel' | null;
  readonly models: readonly [Model, ...Model[]];
}

export interface Model {
  readonly manufacturer: string;
  readonly model: string;
  readonly firmware: readonly [string, ...string[]];
  /** Years of warranty and support from the installation; null: the vendor does not tell. */
  readonly warrantyYears: number | null;
  readonly supportYears: number | null;
}

function model(
  manufacturer: string,
  name: string,
  firmware: readonly [string, ...string[]],
  warrantyYears: number | null = null,
  supportYears: number | null = null,
): Model {
  return { manufacturer, model: name, firmware, warrantyYears, supportYears };
}

/** One of each at a site with at least five devices: what the others report through. */
export const RECORDER: Kind = {
  word: 'nvr',
  label: 'Recorder',
  share: 0,
  parent: null,
  models: [model('Kestrel', 'KR-64', ['8.4.1', '8.5.0'], 5, 8), model('Lumen', 'Vault 32', ['3.19'], 3, 7)],
};
export const PANEL: Kind = {
  word: 'panel',
  label: 'Intrusion panel',
  share: 0,
  parent: null,
  models: [model('Halberd', 'HX-128', ['5.02', '5.10'], 5, 10)],
};

export const KINDS: readonly [Kind, ...Kind[]] = [
  {
    word: 'camera',
    label: 'Camera',
    share: 46,
    parent: 'recorder',
    models: [
      model('Kestrel', 'KC-4 Dome', ['2.11.0', '2.12.3', '2.14.0'], 3, 6),
      model('Kestrel', 'KC-8 Bullet', ['2.12.3', '2.14.0'], 3, 6),
      model('Lumen', 'Wide 180', ['1.7.2'], 5),
      model('Lumen', 'PTZ 30x', ['4.0.9', '4.1.0'], 5, 9),
    ],
  },
  {
    word: 'door',
    label: 'Door',
    share: 18,
    parent: null,
    models: [model('Portcullis', 'D2', ['6.3.0', '6.3.4'], 2, 10)],
  },
  { word: 'card_reader', label: 'Reader', share: 12, parent: null, models: [model('Portcullis', 'R40', ['1.22'], 2)] },
  {
    word: 'motion_detector',
    label: 'Motion detector',
    share: 9,
    parent: 'panel',
    models: [model('Halberd', 'PIR-12', ['1.4'])],
  },
  { word: 'door_contact', label: 'Contact', share: 5, parent: 'panel', models: [model('Halberd', 'C-2', ['1.0'])] },
  { word: 'intercom', label: 'Intercom', share: 4, parent: null, models: [model('Lumen', 'Talk 2', ['3.3.1'], 2, 5)] },
  { word: 'siren', label: 'Siren', share: 3, parent: 'panel', models: [model('Halberd', 'S-110', ['1.1'])] },
  {
    word: 'environmental_sensor',
    label: 'Climate sensor',
    share: 3,
    parent: null,
    models: [model('Lumen', 'Air', ['0.9.8'])],
  },
];

export const ZONES: readonly [string, ...string[]] = [
  'Main lobby',
  'Reception',
  'Loading dock',
  'Server room',
  'Parking level 1',
  'Parking level 2',
  'East stairwell',
  'West stairwell',
  'Rooftop',
  'Warehouse A',
  'Warehouse B',
  'Cafeteria',
  'North perimeter',
  'South perimeter',
  'Executive floor',
  'Archive',
];

export const PEOPLE: readonly [string, ...string[]] = [
  'A. Berg',
  'C. Duarte',
  'E. Fontaine',
  'G. Haas',
  'I. Jansson',
  'K. Lund',
];
