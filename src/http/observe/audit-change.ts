/** Describes the change that a request made, for its audit entry. */
import type { FastifyRequest } from 'fastify';
import { describeChanges, type Values } from '../../identity/audit-changes.ts';

/** Adds the difference between two states to the audit entry of the request. Adds nothing when they are equal. */
export function auditChange(request: FastifyRequest, before: Values, after: Values): void {
  const detail = describeChanges(before, after);
  request.audited = { ...request.audited, ...(detail === null ? {} : { detail }) };
}
