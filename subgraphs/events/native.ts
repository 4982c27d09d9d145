import { findEventType } from '../../schema/catalogue/event-types.ts';
import { NativeEvent, ownData } from '../../schema/catalogue/native-event.ts';
import {
  ACCESS_OUTCOMES,
  DEVICE_STATES,
  EVENT_FAMILIES,
  EVIDENCE_SOURCES,
  SEVERITIES,
  STATUS_REASONS,
} from '../../schema/words.ts';
import type { LoggedEvent } from '../../storage/event-log.ts';
import { eventId } from '../../storage/ids.ts';
import { toWord } from '../row-words.ts';
import { type Details, detailsOf, mediaOf, webAddress } from './model.ts';

/** RFC 3339 has four digits for the year. */
const MAX_INSTANT = Date.UTC(9_999, 11, 31);

function iso(at: number): string {
  return new Date(Math.max(0, Math.min(at, MAX_INSTANT))).toISOString();
}

/** What every event of the family has, as the fields of its GraphQL type say it. */
function familyData(
  row: LoggedEvent,
  family: NativeEvent['family'],
  details: Details,
): Readonly<Record<string, unknown>> {
  return ownData(family, {
    restoral: details.restoral ?? false,
    outcome: toWord(ACCESS_OUTCOMES, details.outcome ?? null, 'OTHER'),
    fault: details.fault ?? row.vendor_code ?? row.type,
    metadata: details.metadata ?? {},
    change: details.change ?? row.type,
  });
}

/** An event of the log in our own JSON; it says what the event's GraphQL type says. */
export function nativeOf(row: LoggedEvent): NativeEvent {
  const id = eventId(row.key);
  const details = detailsOf(row);
  const family = toWord(EVENT_FAMILIES, row.family, 'SYSTEM');
  const { outcome: _outcome, deepLink: link, ...rest } = details;
  const deepLink = webAddress(link);
  return NativeEvent.parse({
    id,
    type: row.type,
    version: findEventType(row.type)?.version ?? 1,
    family,
    severity: SEVERITIES[row.severity] ?? 'INFO',
    occurredAt: iso(row.occurred_at),
    receivedAt: iso(row.received_at),
    clockSkewMs: row.clock_skew_ms,
    late: row.late === 1,
    orgId: row.org_id,
    siteId: row.site_id,
    deviceId: row.device_id,
    integrationId: row.integration_id,
    vendorEventId: row.vendor_event_id,
    vendorCode: row.vendor_code,
    origin: toWord(EVIDENCE_SOURCES, row.origin, 'WEBHOOK'),
    summary: row.summary,
    status:
      row.state === null
        ? null
        : {
            state: toWord(DEVICE_STATES, row.state, 'UNKNOWN'),
            previousState: row.previous_state === null ? null : toWord(DEVICE_STATES, row.previous_state, 'UNKNOWN'),
            reason: row.state_reason === null ? null : toWord(STATUS_REASONS, row.state_reason, 'OTHER'),
          },
    media: mediaOf(row, id)
      .filter(({ address }) => webAddress(address) !== null)
      .map(({ contentType, address, thumbnailUrl, sizeBytes, capturedAt, sha256 }) => ({
        contentType,
        url: address,
        thumbnailUrl,
        sizeBytes,
        capturedAt: capturedAt === null ? null : iso(capturedAt),
        sha256,
      })),
    data: { ...rest, ...(deepLink === null ? {} : { deepLink }), ...familyData(row, family, details) },
  });
}
