/** Validates stored documents of `identity`, field by field. Fields that older versions did not write have defaults. */
import { ROLES } from '../../protocol/schemas/role.ts';
import { SCOPES } from '../../protocol/scopes.ts';
import type { ApiTokenDocument, RevocationDocument, SessionDocument, TokenDays } from '../credentials.ts';
import type { Creator } from '../principal.ts';
import type { QuotaLimits } from '../quota.ts';
import type { GrantDocument, GrantTarget, ShareDocument } from '../sharing.ts';
import type { DeviceDocument, NamedAccount, PersonDocument, TenantDocument } from '../subjects.ts';
import { documentFields, type Fields, type OnCorrected } from './fields.ts';

const DEFAULT_TENANT = 'default';
const ACCOUNT_KINDS = ['ops', 'client'] as const;
const SUBJECTS = ['device', 'person'] as const;

function quotaOf(fields: Fields): { quota?: QuotaLimits } {
  if (!fields.has('quota')) return {};
  const quota = fields.fields('quota');
  const limit = (name: keyof QuotaLimits): number | null => quota.limitOrNull(name);
  return { quota: { bytes: limit('bytes'), openUploads: limit('openUploads'), dayBytes: limit('dayBytes') } };
}

function phoneOf(fields: Fields): { phone?: string } {
  return fields.has('phone') ? { phone: fields.text('phone') } : {};
}

function accountOf(fields: Fields): { account?: NamedAccount } {
  if (!fields.has('account')) return {};
  const account = fields.fields('account');
  const kind = account.oneOf('kind', ACCOUNT_KINDS);
  return { account: { kind, username: account.text('username'), contact: account.textOrNull('contact') } };
}

/** Validates the document of a device. Throws an Error that names a missing or invalid field. */
export function checkDevice(value: unknown, clientId: string, onCorrected?: OnCorrected): DeviceDocument {
  const fields = documentFields(value, 'clientId', clientId, onCorrected);
  return Object.freeze({
    clientId,
    tenant: fields.has('tenant') ? fields.text('tenant') : DEFAULT_TENANT,
    role: fields.oneOf('role', ROLES),
    name: fields.textOrNull('name'),
    secretHash: fields.text('secretHash'),
    createdAt: fields.count('createdAt'),
    lastUsed: fields.countOrNull('lastUsed'),
    notBefore: fields.has('notBefore') ? fields.countOrNull('notBefore') : null,
    ...(fields.has('generation') ? { generation: fields.text('generation') } : {}),
    ...(fields.has('disabled') ? { disabled: true } : {}),
    ...quotaOf(fields),
    ...phoneOf(fields),
  });
}

/** Validates the document of a person. Throws an Error that names a missing or invalid field. */
export function checkPerson(value: unknown, id: string, onCorrected?: OnCorrected): PersonDocument {
  const fields = documentFields(value, 'id', id, onCorrected);
  const outside = fields.list('outside').map((account) => {
    return { issuer: account.text('issuer'), subject: account.text('subject') };
  });
  return Object.freeze({
    id,
    tenant: fields.text('tenant'),
    role: fields.oneOf('role', ROLES),
    email: fields.textOrNull('email'),
    name: fields.text('name'),
    surname: fields.text('surname'),
    passwordHash: fields.textOrNull('passwordHash'),
    outside,
    ...accountOf(fields),
    ...(fields.has('disabled') ? { disabled: true } : {}),
    createdAt: fields.count('createdAt'),
    lastUsed: fields.countOrNull('lastUsed'),
    ...quotaOf(fields),
    ...phoneOf(fields),
  });
}

/** Validates the document of a session. Throws an Error that names a missing or invalid field. */
export function checkSession(value: unknown, id: string, onCorrected?: OnCorrected): SessionDocument {
  const fields = documentFields(value, 'id', id, onCorrected);
  return Object.freeze({
    id,
    subject: fields.text('subject'),
    kind: fields.oneOf('kind', SUBJECTS),
    scopes: fields.has('scopes') && !fields.isNull('scopes') ? fields.words('scopes', SCOPES) : null,
    hash: fields.text('hash'),
    createdAt: fields.count('createdAt'),
    expiresAt: fields.count('expiresAt'),
    ...(fields.has('renewedAt') ? { renewedAt: fields.count('renewedAt') } : {}),
    ...(fields.has('agent') ? { agent: fields.text('agent') } : {}),
    ...(fields.has('long') ? { long: true as const } : {}),
    ...(fields.has('network') ? { network: fields.text('network') } : {}),
    ...(fields.has('previous') ? { previous: previousOf(fields.fields('previous')) } : {}),
  });
}

function previousOf(fields: Fields): NonNullable<SessionDocument['previous']> {
  return { hash: fields.text('hash'), next: fields.text('next'), at: fields.count('at') };
}

/** Validates the document of an API token. Throws an Error that names a missing or invalid field. */
export function checkApiToken(value: unknown, id: string, onCorrected?: OnCorrected): ApiTokenDocument {
  const fields = documentFields(value, 'id', id, onCorrected);
  return Object.freeze({
    id,
    tenant: fields.text('tenant'),
    owner: fields.text('owner'),
    ownerKind: fields.oneOf('ownerKind', SUBJECTS),
    name: fields.textOrNull('name'),
    ...(fields.has('label') ? { label: fields.text('label') } : {}),
    scopes: fields.words('scopes', SCOPES),
    ...(fields.has('words') ? { words: fields.texts('words') } : {}),
    hash: fields.text('hash'),
    createdAt: fields.count('createdAt'),
    expiresAt: fields.countOrNull('expiresAt'),
    ...(fields.has('revokedAt') ? { revokedAt: fields.count('revokedAt') } : {}),
    lastUsed: fields.countOrNull('lastUsed'),
    uses: fields.count('uses'),
    ...(fields.has('days') ? { days: daysOf(fields.fields('days')) } : {}),
  });
}

function makerOf(fields: Fields): Creator {
  const maker: Creator = { id: fields.text('id'), kind: fields.oneOf('kind', SUBJECTS) };
  if (!fields.has('through')) return maker;
  const through = fields.fields('through');
  return { ...maker, through: { kind: through.oneOf('kind', ['api-token', 'sign-in']), id: through.text('id') } };
}

/** Validates the document of a share link. Throws an Error that names a missing or invalid field. */
export function checkShare(value: unknown, id: string, onCorrected?: OnCorrected): ShareDocument {
  const fields = documentFields(value, 'id', id, onCorrected);
  return Object.freeze({
    id,
    tenant: fields.text('tenant'),
    owner: fields.text('owner'),
    fileId: fields.text('fileId'),
    name: fields.text('name'),
    size: fields.count('size'),
    maker: makerOf(fields.fields('maker')),
    hash: fields.text('hash'),
    passwordHash: fields.textOrNull('passwordHash'),
    createdAt: fields.count('createdAt'),
    expiresAt: fields.count('expiresAt'),
    lastUsed: fields.countOrNull('lastUsed'),
    maxDownloads: downloadLimitOf(fields.countOrNull('maxDownloads')),
    ...shareUseOf(fields),
  });
}

/** Rejects 0, because the server never creates a link without downloads. */
function downloadLimitOf(downloads: number | null): number | null {
  if (downloads === 0) throw new Error('"maxDownloads" is 0');
  return downloads;
}

/** Older versions counted bytes instead of downloads: whole files become downloads, the remainder becomes `lost`. */
function shareUseOf(fields: Fields): Pick<ShareDocument, 'downloads' | 'held' | 'lost' | 'promised' | 'takers'> {
  const lost = fields.count('lost');
  if (!fields.has('downloads')) {
    const size = Math.max(1, fields.count('size'));
    const spent = fields.count('spent') + fields.count('reserved');
    return { downloads: Math.floor(spent / size), held: 0, lost: lost + (spent % size), promised: 0, takers: [] };
  }
  const takers = fields.list('takers').map((taker) => {
    return { by: taker.text('by'), runs: taker.pairs('runs') };
  });
  const [downloads, held, promised] = [fields.count('downloads'), fields.count('held'), fields.count('promised')];
  return { downloads, held, lost, promised, takers };
}

function targetOf(fields: Fields): GrantTarget {
  const kind = fields.oneOf('kind', ['prefix', 'file']);
  const name = fields.text('name');
  return kind === 'prefix' ? { kind, name } : { kind, name, fileId: fields.text('fileId') };
}

/** Validates the document of a grant. Throws an Error that names a missing or invalid field. */
export function checkGrant(value: unknown, id: string, onCorrected?: OnCorrected): GrantDocument {
  const fields = documentFields(value, 'id', id, onCorrected);
  const grantee = fields.fields('grantee');
  return Object.freeze({
    id,
    tenant: fields.text('tenant'),
    owner: fields.text('owner'),
    target: targetOf(fields.fields('target')),
    grantee: { id: grantee.text('id'), kind: grantee.oneOf('kind', SUBJECTS) },
    maker: makerOf(fields.fields('maker')),
    createdAt: fields.count('createdAt'),
    expiresAt: fields.countOrNull('expiresAt'),
  });
}

/** Validates the document of a revocation. Throws an Error that names a missing or invalid field. */
export function checkRevocation(value: unknown, id: string, onCorrected?: OnCorrected): RevocationDocument {
  return Object.freeze({ id, until: documentFields(value, 'id', id, onCorrected).count('until') });
}

/** Validates the document of a tenant. Throws an Error that names a missing or invalid field. */
export function checkTenant(value: unknown, id: string, onCorrected?: OnCorrected): TenantDocument {
  const fields = documentFields(value, 'id', id, onCorrected);
  return Object.freeze({ id, name: fields.text('name'), createdAt: fields.count('createdAt'), ...quotaOf(fields) });
}

function daysOf(fields: Fields): TokenDays {
  return { day: fields.count('day'), today: fields.count('today'), before: fields.counts('before') };
}
