/** The audit log on the wire. */
import Type, { type Static } from 'typebox';

export const AUDIT_ACTIONS = [
  'sign_in',
  'sign_out',
  'session_ended',
  'refusal',
  'client_created',
  'client_renewed',
  'client_updated',
  'client_deleted',
  'token_created',
  'token_rotated',
  'token_revoked',
  'user_created',
  'user_updated',
  'user_deleted',
  'tenant_created',
  'tenant_deleted',
  'file_deleted',
  'upload_cancelled',
  'share_created',
  'share_revoked',
  'share_used',
  'player_opened',
  'grant_created',
  'grant_revoked',
  'quota_set',
  'call_requested',
  'call_verified',
  'phone_set',
  'target_created',
  'target_deleted',
  'target_changed',
  'target_disabled',
  'delivery_retried',
  'swept',
  'config',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

const Action = Type.Unsafe<AuditAction>({ type: 'string', enum: AUDIT_ACTIONS, description: 'What was done.' });
const OrNull = (description: string) => Type.Unsafe<string | null>({ type: ['string', 'null'], description });

export const AuditQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'At most so many entries.' }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 64, description: 'next_cursor of the page before.' })),
  action: Type.Optional(Action),
  principal: Type.Optional(Type.String({ maxLength: 128, description: 'Only what this client or person did.' })),
  tenant: Type.Optional(
    Type.String({ maxLength: 63, description: 'Only of this tenant; for root, who sees all without it.' }),
  ),
});
export type AuditQuery = Static<typeof AuditQuery>;

export const AuditRecord = Type.Object(
  {
    time: Type.String({ format: 'date-time', description: 'When; of several the first.' }),
    action: Type.String({ description: 'What was done, or refusal.' }),
    outcome: Type.Unsafe<'ok' | 'refused'>({
      type: 'string',
      enum: ['ok', 'refused'],
      description: 'Whether it was done.',
    }),
    principal: OrNull('Who: a client or a person. Null if nobody knows.'),
    kind: OrNull('device, person or token.'),
    tenant: OrNull('Of whom it is about.'),
    address: OrNull('From where.'),
    target: OrNull('What it was done to.'),
    detail: OrNull('More about it.'),
    request_id: OrNull('Of the request, as in the log.'),
    count: Type.Integer({ minimum: 1, description: 'How often: what repeats itself within seconds is one entry.' }),
  },
  { title: 'AuditRecord' },
);
export type AuditRecord = Static<typeof AuditRecord>;

export const AuditPage = Type.Object(
  {
    entries: Type.Array(AuditRecord, {
      description: 'Youngest first. May be few, or none, while next_cursor says there are more.',
    }),
    next_cursor: OrNull('To be sent as cursor for the next page; null on the last.'),
  },
  { title: 'AuditPage' },
);
export type AuditPage = Static<typeof AuditPage>;
