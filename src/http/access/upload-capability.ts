/**
 * Addresses of uploads and the right to use them, for tus and for resumable uploads. An address cannot be guessed. Unless a setting forbids
 * it, the address alone permits continuing the upload, so that an upload can outlive the session that created it.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import type { ResourceAddress, ResourceState } from '../../engine/receive/upload-resource.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { ownerKey } from '../../identity/rights/policy.ts';
import type { SecondFactor } from '../../identity/second-factor.ts';
import type { Principal, Subject } from '../../records/principal.ts';
import type { Config } from '../../settings/config.ts';
import { authorizationOf, bearerAuth, bearerToken } from './bearer.ts';
import type { RateLimits } from './rate-limit.ts';

/** What these functions need from the server. */
export interface UploadCapabilityDeps {
  config: Pick<Config, 'uploadAbsolute' | 'uploadRight'>;
  engine: Engine;
  identity: Identity;
  access: Access;
}

/**
 * The address in the path of a request to `…/:address`.
 * @throws LadingError `not_found` if it is not valid
 */
export function requestedAddress({ params }: FastifyRequest): ResourceAddress {
  return addressOf((params as { address: string }).address);
}

/** @throws LadingError `not_found` for a text that is not the address of an upload */
export function addressOf(text: string): ResourceAddress {
  const [, id = '', secret = ''] = /^([0-9a-f]{32})\.([\w-]{32})$/.exec(text) ?? [];
  if (id === '') throw new LadingError('not_found', 'There is no such upload, or it has ended.');
  return { id, secret };
}

/**
 * Returns a function that removes the secret halves of upload addresses from a path. It also finds them behind repeated slashes and in
 * addresses that are not valid.
 * @param folder of the protocol, with a slash at its start and end
 */
export function redactAddresses(folder: string): (path: string) => string {
  const address = new RegExp(`^(${folder.replaceAll('/', '/+')}[0-9a-f]{0,32})[^/]*`, 'i');
  return (path) => path.replace(address, '$1…');
}

/** The `Location` of an upload below the folder of its protocol: a path, or by a setting an absolute URL. */
export function locationOf(
  { config }: Pick<UploadCapabilityDeps, 'config'>,
  request: FastifyRequest,
  folder: string,
  { id, secret }: ResourceAddress,
): string {
  const path = `${folder}${id}.${secret}`;
  return config.uploadAbsolute === 'on' ? request.site.url(path) : request.site.path(path);
}

/** The creator to store with an upload, for requests that have only the address. */
export function creatorOf({ identity }: Pick<UploadCapabilityDeps, 'identity'>, { id, kind }: Principal): Subject {
  if (kind !== 'token') return { id, kind };
  return { id, kind: identity.subject('device', id) ? 'device' : 'person' };
}

/** Requests that were authenticated by the address alone. */
const byAddress = new WeakSet<FastifyRequest>();

/** The principal of a request that has only an address; null if that is not sufficient. */
async function principalOfAddress(
  deps: Pick<UploadCapabilityDeps, 'config' | 'engine' | 'identity'>,
  request: FastifyRequest,
): Promise<Principal | null> {
  const { address } = request.params as { address?: string };
  if (deps.config.uploadRight === 'off' || address === undefined) return null;
  const { creator } = await deps.engine.resumableState(addressOf(address), true);
  byAddress.add(request);
  return deps.identity.subject(creator.kind, creator.id);
}

/** Registers the sign-in of a scope whose uploads may also be continued with their address alone. */
export function uploadAuth(
  app: FastifyInstance,
  deps: UploadCapabilityDeps & { secondFactor: SecondFactor },
  limits: RateLimits,
): void {
  const { access, secondFactor } = deps;
  app.register(bearerAuth, { access, limits, secondFactor, fallback: (request) => principalOfAddress(deps, request) });
}

/**
 * Checks that an upload belongs to the principal and to the protocol.
 * @throws LadingError `not_found`
 */
export async function ownUpload(
  deps: Pick<UploadCapabilityDeps, 'engine'>,
  request: FastifyRequest,
  address: ResourceAddress,
  protocol: 'tus' | 'resumable',
): Promise<void> {
  const state = await deps.engine.resumableState(address, true);
  const { tenant, id } = request.principal;
  if (state.owner !== ownerKey(tenant, id) || !belongsTo(state, protocol))
    throw new LadingError('not_found', 'There is no such upload, or it has ended.');
}

/**
 * True if an upload may belong to the protocol: a request must not change or complete an upload of the other protocol. Complete uploads
 * cannot change, so either protocol may use them. The same applies to plain uploads with all bytes that are about to be sealed.
 */
function belongsTo(
  { kind, complete, needsExplicitEnd, offset, size }: ResourceState,
  protocol: 'tus' | 'resumable',
): boolean {
  if (protocol === 'tus') return !needsExplicitEnd;
  return complete || needsExplicitEnd || (kind === 'plain' && offset === size);
}

/** Returns a function that is false once the sender may no longer upload. */
export function uploadAuthorization(
  deps: Pick<UploadCapabilityDeps, 'identity' | 'access'>,
  request: FastifyRequest,
): () => boolean {
  if (!byAddress.has(request) && bearerToken(request.headers.authorization) !== null)
    return authorizationOf(deps, request);
  const { id, kind } = creatorOf(deps, request.principal);
  return () => deps.identity.subject(kind, id) !== null;
}

/** Closes the connection of a superseded request: no client reads its answer, and it must not send more bytes. */
export function endSuperseded(request: FastifyRequest, error: unknown): void {
  if (error instanceof LadingError && error.code === 'superseded') request.raw.destroy();
}
