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

const Action = Type.Unsafe<AuditAction>({ type: 'string', enum: AUDIT_ACTIONS, description: 'The action.' });
const OrNull = (description: string) => Type.Unsafe<string | null>({ type: ['string', 'null'], description });

export const AuditQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Maximum number of entries.' }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 64, description: 'next_cursor of the previous page.' })),
  action: Type.Optional(Action),
  principal: Type.Optional(Type.String({ maxLength: 128, description: 'Only actions of this client or person.' })),
  tenant: Type.Optional(
    Type.String({
      maxLength: 63,
      description: 'Only entries of this tenant. For root, who sees all tenants by default.',
    }),
  ),
});
export type AuditQuery = Static<typeof AuditQuery>;

export const AuditRecord = Type.Object(
  {
    time: Type.String({ format: 'date-time', description: 'Time of the action; of repeated ones, the first.' }),
    action: Type.String({ description: 'The action, or refusal.' }),
    outcome: Type.Unsafe<'ok' | 'refused'>({
      type: 'string',
      enum: ['ok', 'refused'],
      description: 'Whether the action was performed.',
    }),
    principal: OrNull('Id of the client or person. Null if unknown.'),
    kind: OrNull('Kind of the principal: device, person or token.'),
    tenant: OrNull('Id of the tenant that the entry concerns.'),
    address: OrNull('Network address of the client.'),
    target: OrNull('Object of the action.'),
    detail: OrNull('Details.'),
    request_id: OrNull('Id of the request, as in the log.'),
    count: Type.Integer({
      minimum: 1,
      description: 'Number of occurrences: actions that repeat within seconds are one entry.',
    }),
  },
  { title: 'AuditRecord' },
);
export type AuditRecord = Static<typeof AuditRecord>;

export const AuditPage = Type.Object(
  {
    entries: Type.Array(AuditRecord, {
      description: 'Newest first. A page may have few entries or none although next_cursor is set.',
    }),
    next_cursor: OrNull('Send it as cursor for the next page; null on the last page.'),
  },
  { title: 'AuditPage' },
);
export type AuditPage = Static<typeof AuditPage>;
