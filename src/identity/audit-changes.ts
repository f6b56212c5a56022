/** Changes as the audit log shows them: each value before and after. Secrets are never among the values. */
import type { Clock } from '../contracts/clock.ts';
import { iso } from '../protocol/times.ts';
import type { ApiTokenDocument } from '../records/credentials.ts';
import type { TargetDocument } from '../records/delivery.ts';
import type { GrantDocument, ShareDocument } from '../records/sharing.ts';
import type { DeviceDocument, PersonDocument, TenantDocument } from '../records/subjects.ts';
import type { Limits } from './quotas.ts';
import { parseOwnerKey } from './rights/policy.ts';

type Value = string | number | boolean | null | undefined | readonly string[];
/** Values by their names in the log. */
export type Values = Record<string, Value>;

/** The values of an object before it is created, and after it is deleted. */
export const NOTHING: Values = {};
/** Maximum length of a detail, in characters. Only changes with very long values exceed it. */
const MAX_DETAIL = 2048;

/** Lists the differences, as in `role: client → admin; name: "old" → "new"`; null without differences. `false` equals an absent value. */
export function describeChanges(before: Values, after: Values): string | null {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changes = names.flatMap((name) => {
    const [from, to] = [before[name], after[name]];
    const same = shown(from) === shown(to) || [from, to].every((value) => value === undefined || value === false);
    return same ? [] : [`${name}: ${shown(from)} → ${shown(to)}`];
  });
  return changes.length === 0 ? null : changes.join('; ').slice(0, MAX_DETAIL);
}

export function personValues({ role, email, name, surname, account, outside, disabled }: PersonDocument): Values {
  const issuers = outside.map(({ issuer }) => issuer);
  const named = { account: account?.kind, username: account?.username, contact: account?.contact };
  return {
    role,
    email,
    ...named,
    name: name || null,
    surname: surname || null,
    outside: issuers,
    disabled: disabled === true,
  };
}

export function clientValues({ role, name, disabled }: DeviceDocument): Values {
  return { role, name, disabled: disabled === true };
}

export function tenantValues({ name }: TenantDocument): Values {
  return { name };
}

export function apiTokenValues({ owner, name, scopes, expiresAt }: ApiTokenDocument, clock: Clock): Values {
  return { owner, name, scopes, expires: dateOf(clock, expiresAt) };
}

export function shareValues(share: ShareDocument, clock: Clock): Values {
  const { name, owner, expiresAt, maxDownloads, passwordHash } = share;
  const terms = { expires: dateOf(clock, expiresAt), max_downloads: maxDownloads, password: passwordHash !== null };
  return { file: name, owner: parseOwnerKey(owner).id, ...terms };
}

export function grantValues({ target, owner, grantee, expiresAt }: GrantDocument, clock: Clock): Values {
  const names = { [target.kind]: target.name, owner: parseOwnerKey(owner).id, grantee: grantee.id };
  return { ...names, expires: dateOf(clock, expiresAt) };
}

/** Shows only the host of a webhook, because the rest of its URL may be secret. */
export function targetValues(target: TargetDocument): Values {
  const { kind, name, rule } = target;
  const rules = { rule_owner: rule.owner, rule_prefix: rule.prefix || null, rule_type: rule.type };
  const state = { disabled: target.disabled !== undefined };
  if (target.kind === 'webhook') {
    const { events, content } = target;
    return { kind, name, host: new URL(target.url).host, events, content, ...rules, ...state };
  }
  const { host, port, username, directory, pattern } = target;
  const security = target.implicit ? 'implicit' : undefined;
  return { kind, name, host, port, security, username, directory: directory || null, pattern, ...rules, ...state };
}

/** Limits as the log shows them. 0 in a document means unlimited. */
export function limitValues({ bytes, openUploads, dayBytes }: Limits): Values {
  const worded = (limit: number): Value => (limit === 0 ? 'unlimited' : limit);
  return { bytes: worded(bytes), open_uploads: worded(openUploads), day_bytes: worded(dayBytes) };
}

/** @param moment a time on the time line; null: never */
function dateOf(clock: Clock, moment: number | null): string | null {
  return moment === null ? null : iso(clock.dateOf(moment));
}

function shown(value: Value): string {
  if (value === undefined || value === null) return 'none';
  if (typeof value === 'string') return /^[\w@.+:-]{1,200}$/.test(value) ? value : JSON.stringify(value.slice(0, 200));
  if (typeof value === 'object') return value.length === 0 ? 'none' : value.map(shown).join(' ');
  return String(value);
}
