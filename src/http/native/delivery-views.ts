/**
 * Targets and deliveries as replies show them. Passwords and signing keys are never shown. Only administrators see the addresses and the
 * answers of targets; others see the names of targets and the state of their files.
 */

import type { Clock } from '../../contracts/clock.ts';
import type { Deliveries } from '../../delivery/deliveries.ts';
import { plainName, type Targets } from '../../delivery/targets.ts';
import { maySeeTargets, parseOwnerKey } from '../../identity/rights/policy.ts';
import type { Delivery, DeliveryState, FileDelivery, Target } from '../../protocol/schemas/delivery.ts';
import type { EventType } from '../../protocol/schemas/event.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { iso } from '../../protocol/times.ts';
import type { DeliveryDocument, TargetDocument } from '../../records/delivery.ts';
import type { Principal } from '../../records/principal.ts';

/** What these functions need from the server. */
export interface DeliveryViewDeps {
  targets: Targets;
  deliveries: Deliveries;
  clock: Clock;
}

/** Replaces a secret. */
export const MASK = '*'.repeat(8);

/** A target without its secrets, for administrators. */
export function shownTarget(target: TargetDocument): Target {
  const { id, kind, name, tenant, rule, createdAt } = target;
  const type = rule.type?.endsWith('/') ? `${rule.type}*` : rule.type;
  const since = target.disabled && { disabled: { since: iso(target.disabled.at), reason: target.disabled.reason } };
  const shared = { id, kind, name, tenant, created_at: iso(createdAt), rule: { ...rule, type }, ...since };
  if (target.kind === 'webhook') {
    return { ...shared, url: target.url, events: target.events as EventType[], content: target.content, secret: MASK };
  }
  const { host, port, username, directory, pattern, ca } = target;
  const security = target.implicit ? ('implicit' as const) : ('explicit' as const);
  const secured = kind === 'ftps' ? { security } : {};
  return { ...shared, host, port, ...secured, username, password: MASK, directory, pattern, ca };
}

function nameOf({ targets }: Pick<DeliveryViewDeps, 'targets'>, { targetId }: DeliveryDocument): string {
  return targets.find(targetId)?.name ?? `${targetId} (deleted)`;
}

/** A delivery with all details, for administrators. */
export function shownDelivery(deps: DeliveryViewDeps, delivery: DeliveryDocument): Delivery {
  const { id, targetId, tenant, event, owner, fileName, attempts, lastError, createdAt, nextAt, endedAt } = delivery;
  return {
    id,
    target_id: targetId,
    target: nameOf(deps, delivery),
    tenant,
    event: event as EventType,
    owner: owner === null ? null : parseOwnerKey(owner).id,
    filename: fileName,
    state: deps.deliveries.stateOf(delivery),
    attempts,
    last_error: lastError,
    created_at: iso(createdAt),
    next_attempt_at: nextAt === null ? null : iso(deps.clock.dateOf(nextAt)),
    ended_at: endedAt === null ? null : iso(endedAt),
  };
}

/** The error without details of the target. */
export function plainError(state: DeliveryState, attempts: number): string | null {
  if (state === 'failed')
    return 'The target did not accept the file, and the server gave up. An administrator can see the reason.';
  if (state === 'cancelled') return 'The delivery was cancelled.';
  return attempts === 0 || state === 'delivered'
    ? null
    : 'The target has not accepted the file yet. The server will try again.';
}

/**
 * The status of a file with its deliveries, if it has any. Events for webhooks are not deliveries of the file.
 * @param principal the principal of the request
 */
export function withDeliveries(
  deps: Pick<DeliveryViewDeps, 'targets' | 'deliveries'>,
  status: FileStatus,
  principal: Principal,
): FileStatus {
  if (status.id === null) return status;
  const deliveries = deps.deliveries
    .ofFile(status.id)
    .filter(({ event }) => event === 'file.completed')
    .map((delivery): FileDelivery => {
      const { attempts, lastError } = delivery;
      const state = deps.deliveries.stateOf(delivery);
      if (maySeeTargets(principal)) return { target: nameOf(deps, delivery), state, attempts, last_error: lastError };
      const target = deps.targets.find(delivery.targetId);
      const name = target ? plainName(target) : 'a deleted target';
      return { target: name, state, attempts, last_error: plainError(state, attempts) };
    });
  return deliveries.length === 0 ? status : { ...status, deliveries };
}
