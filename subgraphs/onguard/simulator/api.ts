/**
 * The calls of OpenAccess. Parameters are taken from query or body, credentials from documented headers, from those with
 * underscores, or from the body, as the real server does.
 */
import type { CodeBook } from './codes.ts';
import type { FaultBoard } from './faults.ts';
import { FilterError, parseFilter, type Row } from './filter.ts';
import type { Platform } from './platform.ts';
import type { Account, Sessions } from './sessions.ts';
import { localTime } from './platform.ts';
import type { StateFile, Subscription } from './state.ts';
import { ipNumber, type WorldObject } from './world.ts';

export const BASE = '/api/access/onguard/openaccess';
const VERSION = '1.0';
const MAX_PAGE_SIZE = 100;
const USUAL_PAGE_SIZE = 20;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface ApiRequest {
  readonly method: string;
  /** Below the base. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Query and body together; names folded. */
  readonly parameters: ReadonlyMap<string, unknown>;
}

export interface ApiParts {
  readonly platform: Platform;
  readonly codes: CodeBook;
  readonly board: FaultBoard;
  readonly sessions: Sessions;
  readonly account: Account;
  readonly file: StateFile;
  readonly now: () => number;
}

class Refusal extends Error {
  readonly answer: Answer;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.answer = refusal(status, code, message);
  }
}

export function refusal(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message }, version: VERSION } };
}

const badItem = (what: string): Refusal =>
  new Refusal(400, 'openaccess.general.invalidrequestitem', `The item ${what} is not valid.`);
const gone = (): Refusal => new Refusal(404, 'system.not_found', 'The object was not found.');

function text(request: ApiRequest, name: string): string | null {
  const value = request.parameters.get(name);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function credential(request: ApiRequest, name: string): string | null {
  const header = request.headers[name.replaceAll('_', '-')] ?? request.headers[name];
  return typeof header === 'string' ? header : text(request, name);
}

/** Never throws. */
export function answerApi(parts: ApiParts, request: ApiRequest): Answer {
  try {
    return { status: 200, body: { ...answer(parts, request), version: VERSION } };
  } catch (error) {
    if (error instanceof Refusal) return error.answer;
    if (error instanceof FilterError) return badItem(error.message).answer;
    throw error;
  }
}

function answer(parts: ApiParts, request: ApiRequest): object {
  if (text(request, 'version') === null)
    throw new Refusal(400, 'openaccess.general.missingversion', 'The version parameter is mandatory.');
  const route = `${request.method} ${request.path}`;
  if (route === 'GET version') return { product_name: 'OnGuard 8.2', product_version: '8.2.001' };
  if (route === 'GET directories') return directories();
  if (credential(request, 'application_id') !== parts.account.applicationId)
    throw new Refusal(401, 'openaccess.general.invalidapplicationid', 'The application id is not licensed.');
  if (route === 'POST authentication') return login(parts, request);
  const token = credential(request, 'session_token') ?? '';
  const staysAsleep = text(request, 'do_not_reset_inactivity_timer') === 'true';
  if (!parts.sessions.isGood(token, !staysAsleep))
    throw new Refusal(401, 'openaccess.general.invalidsessiontoken', 'The session token is not valid.');
  return authorized(parts, request, token, route);
}

function authorized(parts: ApiParts, request: ApiRequest, token: string, route: string): object {
  switch (route) {
    case 'DELETE authentication':
      parts.sessions.logout(token);
      return {};
    case 'GET keepalive':
      return {};
    case 'GET settings/segmentation':
      return { segmentation_enabled: parts.board.faults().segmented, segment_cardholders: false };
    case 'GET instances':
      return instances(parts, request);
    case 'POST execute_method':
      return execute(parts, request);
    case 'GET logged_events':
      return loggedEvents(parts, request);
    case 'GET event_subscriptions':
      return paged(parts, request, parts.file.state.subscriptions, (row) => row);
    case 'POST event_subscriptions':
      return createSubscription(parts, request);
    default:
  }
  const [, id] = /^event_subscriptions\/(\d+)$/.exec(request.path) ?? [];
  if (id !== undefined) return oneSubscription(parts, request, Number(id));
  throw gone();
}

function directories(): object {
  const list = [
    { ID: 'id-1', NAME: '<Internal>', directory_type: -1 },
    { ID: 'id-4', NAME: 'corp.example', directory_type: 1 },
  ];
  return { total_items: list.length, item_list: list.map((property_value_map) => ({ property_value_map })) };
}

function login({ sessions }: ApiParts, request: ApiRequest): object {
  const made = sessions.login(
    text(request, 'user_name'),
    text(request, 'password'),
    text(request, 'directory_id') ?? undefined,
  );
  if (made === null) throw new Refusal(401, 'openaccess.authentication.failed', 'The login failed.');
  return { session_token: made.token, token_expiration_time: made.expiresAt };
}

/** A page of rows in the envelope of the platform: without `item_list` when nothing matches. */
function paged<T extends Row>(
  { board }: ApiParts,
  request: ApiRequest,
  rows: readonly T[],
  show: (row: T) => unknown,
): object {
  const number = Number(text(request, 'page_number') ?? 1);
  const size = Number(text(request, 'page_size') ?? USUAL_PAGE_SIZE);
  if (!Number.isInteger(number) || number < 1) throw badItem('page_number');
  if (!Number.isInteger(size) || size < 1 || size > MAX_PAGE_SIZE) throw badItem('page_size');
  const filter = text(request, 'filter') ?? '';
  const test = parseFilter(filter, (value) => {
    if (/\dZ$/.test(value)) throw new FilterError('a time needs a numeric offset');
  });
  const found = sorted(rows.filter(test), text(request, 'order_by'), board.faults().singleSort);
  const items = found.slice((number - 1) * size, number * size).map(show);
  return {
    count: items.length,
    ...(items.length === 0 ? {} : { item_list: items }),
    page_number: number,
    page_size: size,
    total_items: found.length + board.faults().totalOff,
    total_pages: items.length === 0 ? 0 : Math.ceil(found.length / size),
  };
}

function sorted<T extends Row>(rows: readonly T[], orderBy: string | null, isSingle: boolean): readonly T[] {
  if (orderBy === null) return rows;
  const names = orderBy.split(',').map((name) => name.trim().toLowerCase());
  if (isSingle && names.length > 1) throw badItem('order_by');
  const key = (row: Row, name: string): unknown => {
    const found = Object.entries(row).find(([own]) => own.toLowerCase() === name);
    if (found === undefined) throw badItem(name);
    return found[1];
  };
  return rows.toSorted((left, right) => {
    for (const name of names) {
      const [a, b] = [key(left, name), key(right, name)];
      const order =
        typeof a === 'number' && typeof b === 'number'
          ? a - b
          : String(a) < String(b)
            ? -1
            : Number(String(a) > String(b));
      if (order !== 0) return order;
    }
    return 0;
  });
}

const CAMERAS = 3;

function cameras(panels: readonly WorldObject[]): readonly Row[] {
  const [panel] = panels;
  if (panel === undefined) return [];
  return Array.from({ length: CAMERAS }, (_, index) => ({
    CameraTypeName: 'Generic ONVIF',
    Channel: index + 1,
    ID: 200 + index,
    IPAddress: ipNumber(192, 168, 10, 21 + index),
    // A channel that nobody uses.
    Name: index === CAMERAS - 1 ? '' : `Camera ${index + 1}`,
    PanelID: panel.panelId,
    Workstation: 'OGCOMM01',
  }));
}

function rowsOf({ platform, codes, board }: ApiParts, typeName: string): readonly Row[] {
  const faults = board.faults();
  const { objects, segments } = platform.world;
  switch (typeName) {
    case 'lnl_eventtype':
      return codes.types();
    case 'lnl_eventsubtypedefinition':
      return codes.subtypes(faults.german);
    case 'lnl_segment':
      return faults.segmented ? segments.map(({ id, name }) => ({ ID: id, Name: name })) : [];
    case 'lnl_camera':
      return faults.cameras ? cameras(objects.filter((object) => object.typeName === 'Lnl_Panel')) : [];
    default:
      return objects
        .filter((object) => object.typeName.toLowerCase() === typeName)
        .map((object) => {
          if (object.typeName !== 'Lnl_Panel') return object.properties;
          return {
            ...object.properties,
            IsOnline: !faults.disabledPanels.includes(object.panelId),
            PanelType: platform.wordsOf(object.nativeId).type ?? object.properties['PanelType'],
            SegmentId: faults.segmented ? object.segmentId : 0,
          };
        });
  }
}

const TYPES = new Set(
  [
    'Panel',
    'Reader',
    'AlarmPanel',
    'AlarmInput',
    'AlarmOutput',
    'ReaderInput1',
    'ReaderInput2',
    'ReaderOutput1',
    'ReaderOutput2',
    'Camera',
    'Segment',
    'EventType',
    'EventSubtypeDefinition',
  ].map((name) => `lnl_${name.toLowerCase()}`),
);

function instances(parts: ApiParts, request: ApiRequest): object {
  const typeName = text(request, 'type_name') ?? '';
  const folded = typeName.toLowerCase();
  const isMissing = parts.board.faults().missingTypes.some((name) => name.toLowerCase() === folded);
  if (!TYPES.has(folded) || isMissing) throw badItem('type_name');
  const page = paged(parts, request, rowsOf(parts, folded), (property_value_map) => ({ property_value_map }));
  return { ...page, type_name: typeName };
}

function execute({ platform }: ApiParts, request: ApiRequest): object {
  const typeName = text(request, 'type_name')?.toLowerCase() ?? '';
  const method = text(request, 'method_name')?.toLowerCase() ?? '';
  const given = request.parameters.get('property_value_map');
  const key = new Map(Object.entries(Object(given)).map(([name, value]) => [name.toLowerCase(), Number(value)]));
  const panelId = key.get('panelid') ?? key.get('id') ?? Number.NaN;
  if (method === 'updatehardwarestatus' && typeName === 'lnl_panel') {
    if (!platform.refresh(panelId)) throw gone();
    return { out_parameter_value_map: {} };
  }
  if (method !== 'gethardwarestatus') throw badItem('method_name');
  const deviceId = typeName === 'lnl_panel' ? 0 : (key.get('readerid') ?? key.get('id') ?? Number.NaN);
  const object = platform.find(deviceId === 0 ? String(panelId) : `${panelId}-${deviceId}`);
  if (object === undefined || object.typeName.toLowerCase() !== typeName) throw gone();
  return { out_parameter_value_map: { Status: platform.cached(object) } };
}

function loggedEvents(parts: ApiParts, request: ApiRequest): object {
  if ((text(request, 'filter') ?? '') === '') throw badItem('filter');
  const isWrapped = parts.board.faults().wrappedLog;
  return paged(parts, request, parts.platform.events(), (event) => (isWrapped ? { property_value_map: event } : event));
}

function createSubscription({ file, now }: ApiParts, request: ApiRequest): object {
  file.state.count += 1;
  const id = 40 + file.state.count;
  const subscription: Subscription = {
    id,
    description: text(request, 'description') ?? '',
    filter: text(request, 'filter') ?? '',
    is_durable: request.parameters.get('is_durable') === true,
    user_id: '12',
    binding_key: `oa.events.${id}`,
    created_date: localTime(now()),
    exchange_name: 'oa.topic',
    last_updated_date: localTime(now()),
    message_broker_hostname: 'og01.corp.example',
    message_broker_port: 5671,
    queue_name: `oa.queue.${id}`,
    requires_secure_connection: true,
  };
  file.state.subscriptions.push(subscription);
  file.save();
  return subscription;
}

function oneSubscription({ file }: ApiParts, request: ApiRequest, id: number): object {
  const found = file.state.subscriptions.find((subscription) => subscription.id === id);
  if (found === undefined) throw gone();
  if (request.method === 'DELETE') {
    file.state.subscriptions = file.state.subscriptions.filter((each) => each !== found);
    file.save();
  }
  return found;
}
