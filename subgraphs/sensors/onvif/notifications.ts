// The answer of PullMessages, to messages. Pure.
import { type OnvifMessage, parseUtc } from '../dialects/onvif-topics.ts';
import type { OnvifItems } from '../wire.ts';
import { find, findAll, parseXml, type XmlElement } from './xml.ts';

function itemsOf(element: XmlElement | undefined): OnvifItems {
  if (element === undefined) return {};
  const items = [...findAll(element, 'SimpleItem')].map(({ attributes }) => [
    attributes.get('Name') ?? '',
    attributes.get('Value') ?? '',
  ]);
  return Object.fromEntries(items.filter(([name]) => name !== '' && name !== '__proto__'));
}

/** @throws XmlError */
export function readNotifications(xml: string): readonly OnvifMessage[] {
  return [...findAll(parseXml(xml), 'NotificationMessage')].flatMap((notification): OnvifMessage[] => {
    const topic = find(notification, 'Topic')?.text;
    // `wsnt:Message` wraps `tt:Message`: the inner one has the time.
    const message = [...findAll(notification, 'Message')].find(({ attributes }) => attributes.has('UtcTime'));
    if (topic === undefined || message === undefined) return [];
    const operation = message.attributes.get('PropertyOperation');
    // What is deleted has no state any more; nothing is to be told of it.
    if (operation === 'Deleted') return [];
    return [
      {
        topic: topic.replace(/^[^/:]*:/, ''),
        at: parseUtc(message.attributes.get('UtcTime')),
        isInitial: operation === 'Initialized',
        source: itemsOf(find(message, 'Source')),
        data: itemsOf(find(message, 'Data')),
      },
    ];
  });
}
