/** Validates stored documents of delivery targets and deliveries, field by field. */
import { EVENT_TYPES } from '../../protocol/schemas/event.ts';
import type { DeliveryDocument, DeliveryRule, TargetDocument } from '../delivery.ts';
import { documentFields, type Fields } from './fields.ts';

const LAST_PORT = 65_535;

/** Validates the document of a target. Throws an Error that names a missing or invalid field. */
export function checkTarget(value: unknown, id: string): TargetDocument {
  const fields = documentFields(value, 'id', id);
  const base = {
    id,
    tenant: fields.text('tenant'),
    name: fields.text('name'),
    rule: ruleOf(fields.fields('rule')),
    createdAt: fields.time('createdAt'),
    ...(fields.has('madeAt') ? { madeAt: fields.time('madeAt') } : {}),
    secret: fields.text('secret'),
    ...(fields.has('disabled') ? { disabled: disabledOf(fields.fields('disabled')) } : {}),
    ...(fields.has('enabledAt') ? { enabledAt: fields.time('enabledAt') } : {}),
    ...(fields.has('retired') ? { retired: true as const } : {}),
  };
  const kind = fields.oneOf('kind', ['ftp', 'ftps', 'webhook']);
  if (kind === 'webhook')
    return Object.freeze({
      ...base,
      kind,
      url: urlOf(fields.text('url')),
      events: fields.words('events', EVENT_TYPES),
      content: fields.has('content') ? fields.oneOf('content', ['event', 'file']) : 'event',
    });
  return Object.freeze({
    ...base,
    kind,
    host: fields.text('host'),
    port: portOf(fields.count('port')),
    username: fields.text('username'),
    directory: fields.text('directory'),
    pattern: fields.text('pattern'),
    ca: fields.textOrNull('ca'),
    ...(fields.has('implicit') ? { implicit: true as const } : {}),
  });
}

function urlOf(text: string): string {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) throw new Error('"url" is not an http or https URL');
  return text;
}

function portOf(port: number): number {
  if (port < 1 || port > LAST_PORT) throw new Error('"port" is not from 1 to 65535');
  return port;
}

function disabledOf(fields: Fields): NonNullable<TargetDocument['disabled']> {
  return {
    at: fields.time('at'),
    reason: fields.text('reason'),
    ...(fields.has('unrecorded') ? { unrecorded: fields.text('unrecorded') } : {}),
  };
}

function ruleOf(fields: Fields): DeliveryRule {
  return { owner: fields.textOrNull('owner'), prefix: fields.text('prefix'), type: fields.textOrNull('type') };
}

/** Validates the document of a delivery. Throws an Error that names a missing or invalid field. */
export function checkDelivery(value: unknown, id: string): DeliveryDocument {
  const fields = documentFields(value, 'id', id);
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
    ...(fields.has('litter') ? { litter: fields.texts('litter') } : {}),
    ...(fields.has('cleanAt') ? { cleanAt: fields.time('cleanAt'), cleanTries: fields.count('cleanTries') } : {}),
    ...(fields.has('announced') ? { announced: true as const } : {}),
    payload: fields.textOrNull('payload'),
    state: fields.oneOf('state', ['queued', 'delivered', 'failed', 'cancelled']),
    attempts: fields.count('attempts'),
    ...(fields.has('retries') ? { retries: fields.count('retries') } : {}),
    lastError: fields.textOrNull('lastError'),
    createdAt: fields.time('createdAt'),
    nextAt: fields.timeOrNull('nextAt'),
    endedAt: fields.timeOrNull('endedAt'),
  });
}
