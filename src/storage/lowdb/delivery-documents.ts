/** How the documents of delivery are read back: each field is checked. */
import type { DeliveryDocument, DeliveryRule, TargetDocument } from '../../contracts.ts';
import { EVENT_TYPES } from '../../protocol/event-schemas.ts';
import { Fields } from './fields.ts';

export function checkTarget(value: unknown, id: string): TargetDocument {
  const fields = new Fields(value);
  if (fields.text('id') !== id) throw new Error('"id" is another document\'s');
  const base = {
    id,
    tenant: fields.text('tenant'),
    name: fields.text('name'),
    rule: ruleOf(fields.fields('rule')),
    createdAt: fields.count('createdAt'),
    ...(fields.has('madeAt') ? { madeAt: fields.count('madeAt') } : {}),
    secret: fields.text('secret'),
  };
  const kind = fields.oneOf('kind', ['ftp', 'ftps', 'webhook']);
  if (kind === 'webhook')
    return Object.freeze({
      ...base,
      kind,
      url: fields.text('url'),
      events: fields.words('events', EVENT_TYPES),
      content: fields.has('content') ? fields.oneOf('content', ['event', 'file']) : 'event',
    });
  return Object.freeze({
    ...base,
    kind,
    host: fields.text('host'),
    port: fields.count('port'),
    username: fields.text('username'),
    directory: fields.text('directory'),
    pattern: fields.text('pattern'),
    ca: fields.textOrNull('ca'),
  });
}

function ruleOf(fields: Fields): DeliveryRule {
  return { owner: fields.textOrNull('owner'), prefix: fields.text('prefix'), type: fields.textOrNull('type') };
}

export function checkDelivery(value: unknown, id: string): DeliveryDocument {
  const fields = new Fields(value);
  if (fields.text('id') !== id) throw new Error('"id" is another document\'s');
  return Object.freeze({
    id,
    targetId: fields.text('targetId'),
    tenant: fields.text('tenant'),
    event: fields.oneOf('event', EVENT_TYPES),
    owner: fields.textOrNull('owner'),
    fileName: fields.textOrNull('fileName'),
    fileId: fields.textOrNull('fileId'),
    ...(fields.has('version') ? { version: fields.text('version') } : {}),
    ...(fields.has('remoteName') ? { remoteName: fields.text('remoteName') } : {}),
    payload: fields.textOrNull('payload'),
    state: fields.oneOf('state', ['queued', 'delivered', 'failed', 'cancelled']),
    attempts: fields.count('attempts'),
    lastError: fields.textOrNull('lastError'),
    createdAt: fields.count('createdAt'),
    nextAt: fields.countOrNull('nextAt'),
    endedAt: fields.countOrNull('endedAt'),
  });
}
