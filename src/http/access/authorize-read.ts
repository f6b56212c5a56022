/** Authorizes requests that read files: by the role, or by grants of other owners. */
import type { FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import type { FileListQuery } from '../../engine/read/file-list.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { ownerKey, ownerOf } from '../../identity/rights/policy.ts';
import { isGranted } from '../../identity/sharing/grants.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { GrantDocument } from '../../records/sharing.ts';
import { authorizationOf } from './bearer.ts';

/** What these functions need from the server. */
export interface ReadAccessDeps {
  identity: Identity;
  access: Access;
}

export interface ReadAccess {
  /** Key of the owner. */
  owner: string;
  /** False once the principal may no longer read the file. Absent if only the token decides. */
  isAuthorized?: () => boolean;
}

/**
 * Authorizes a request to read a file by name: the principal owns it, or its role or a grant permits reading it.
 * @param requested the query parameter `owner`
 * @throws LadingError `forbidden`, whether or not that owner and file exist
 */
export function authorizeRead(
  deps: ReadAccessDeps,
  request: FastifyRequest,
  requested: string | undefined,
  name: string,
): ReadAccess {
  const reading = ownOrRefusal(request, requested);
  if (!(reading instanceof LadingError)) return reading;
  const grant = grantsOf(deps, request, requested).find(
    (one) => isGranted(one.target, name) && deps.identity.isGrantValid(one),
  );
  if (!grant) throw reading;
  const signedIn = authorizationOf(deps, request);
  return { owner: grant.owner, isAuthorized: () => signedIn() && deps.identity.isGrantValid(grant) };
}

/** A list of files that a principal may see. */
export interface Listing {
  owner: string;
  /** The grants that limit the list; null for all files of the owner. */
  granted: GrantDocument[] | null;
  /** False once the principal may no longer see the list. */
  isAuthorized(): boolean;
}

/**
 * Authorizes a request to list files.
 * @param requested the query parameter `owner`
 * @throws LadingError `forbidden`
 */
export function authorizeList(deps: ReadAccessDeps, request: FastifyRequest, requested: string | undefined): Listing {
  const reading = ownOrRefusal(request, requested);
  const signedIn = authorizationOf(deps, request);
  if (!(reading instanceof LadingError)) return { owner: reading.owner, granted: null, isAuthorized: signedIn };
  const granted = grantsOf(deps, request, requested).filter((grant) => deps.identity.isGrantValid(grant));
  const [first] = granted;
  if (!first) throw reading;
  const isAuthorized = (): boolean => signedIn() && granted.every((grant) => deps.identity.isGrantValid(grant));
  return { owner: first.owner, granted, isAuthorized };
}

function ownOrRefusal({ principal }: FastifyRequest, requested: string | undefined): ReadAccess | LadingError {
  try {
    return { owner: ownerOf(principal, requested) };
  } catch (error) {
    if (error instanceof LadingError && error.code === 'forbidden') return error;
    throw error;
  }
}

function grantsOf(
  { identity }: Pick<ReadAccessDeps, 'identity'>,
  { principal }: FastifyRequest,
  requested = '',
): GrantDocument[] {
  // Ids contain no slash. An id with one would name another tenant, whose files cannot be granted.
  if (requested.includes('/')) return [];
  return identity.grants.between(principal, ownerKey(principal.tenant, requested));
}

/**
 * Returns a page of the granted files, like `Engine.list` for all files. It lists the grants one after the other, because they are
 * disjoint and in order:
 *
 *     grants   a/ · a/x · b     →   a/…  then  b
 */
export async function listGranted(
  engine: Engine,
  grants: readonly GrantDocument[],
  query: FileListQuery,
): Promise<{ files: FileStatus[]; next_cursor: string | null }> {
  const files: FileStatus[] = [];
  for (const { kind, name } of nameRanges(grants, query.prefix)) {
    const limit = query.limit - files.length;
    const page =
      kind === 'prefix'
        ? await engine.list({ ...query, prefix: name, limit })
        : await oneFile(engine, name, { ...query, limit });
    files.push(...page.files);
    if (page.next_cursor !== null) return { files, next_cursor: page.next_cursor };
    // Whether more files follow is only known once the next page, which may be empty, is read.
    if (files.length === query.limit) return { files, next_cursor: files.at(-1)?.filename ?? null };
  }
  return { files, next_cursor: null };
}

async function oneFile(
  engine: Engine,
  name: string,
  { owner, cursor, status }: FileListQuery,
): Promise<{ files: FileStatus[]; next_cursor: null }> {
  if (cursor !== null && cursor >= name) return { files: [], next_cursor: null };
  const found = await engine.status(owner, name);
  const wanted = found.status !== 'pending' && (status === null || found.status === status);
  return { files: wanted ? [found] : [], next_cursor: null };
}

/** A range of names that grants cover: one file, or all names with a prefix. */
interface NameRange {
  kind: 'file' | 'prefix';
  name: string;
}

/** The ranges of the grants below the prefix, sorted by name, without those that another range covers. */
function nameRanges(grants: readonly GrantDocument[], prefix: string): NameRange[] {
  const all = grants.flatMap(({ target: { kind, name } }): NameRange[] => {
    if (name.startsWith(prefix)) return [{ kind, name }];
    return kind === 'prefix' && prefix.startsWith(name) ? [{ kind, name: prefix }] : [];
  });
  // A prefix sorts before everything that it covers, and before a file of the same name.
  all.sort((a, b) => (a.name === b.name ? (a.kind === 'prefix' ? -1 : 1) : a.name < b.name ? -1 : 1));
  const kept: NameRange[] = [];
  for (const range of all) {
    const last = kept.at(-1);
    const covered = last && (last.kind === 'prefix' ? range.name.startsWith(last.name) : range.name === last.name);
    if (!covered) kept.push(range);
  }
  return kept;
}
