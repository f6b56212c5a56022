/**
 * Addresses of uploads and who may use them, whatever the protocol. An address cannot be guessed: by setting it is all the right that it
 * takes to go on with the upload, so that one outlives the sign-in that began it.
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

/** Where an upload is found, below the folder of its protocol: as a path, or by setting with scheme and host. */
export function locationOf(
  { config }: Pick<UploadCapabilityDeps, 'config'>,
  request: FastifyRequest,
  folder: string,
  { id, secret }: ResourceAddress,
): string {
  const path = `${folder}${id}.${secret}`;
  return config.uploadAbsolute === 'on' ? request.site.url(path) : request.site.path(path);
}

/** Who began it, for the time when only the address is left. */
export function creatorOf({ identity }: Pick<UploadCapabilityDeps, 'identity'>, { id, kind }: Principal): Subject {
  if (kind !== 'token') return { id, kind };
  return { id, kind: identity.subject('device', id) ? 'device' : 'person' };
}

/** Requests that were let in by the address alone. */
const byAddress = new WeakSet<FastifyRequest>();

/** Who asks by an address alone, where that is enough; null otherwise. */
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

/** @throws LadingError `not_found` when the upload is somebody else's, or another protocol's */
export async function ownUpload(
  deps: Pick<UploadCapabilityDeps, 'engine'>,
  request: FastifyRequest,
  address: ResourceAddress,
  protocol: 'tus' | 'resumable',
): Promise<void> {
  const state = await deps.engine.resumableState(address, true);
  const { tenant, id } = request.principal;
  if (state.owner !== ownerKey(tenant, id) || !speaks(state, protocol))
    throw new LadingError('not_found', 'There is no such upload, or it has ended.');
}

/**
 * One protocol must not say of another one's upload how long it is or that it is over. Of a complete one nothing can be said any more; one
 * whose end was told and that is not complete yet may be of either.
 */
function speaks({ kind, complete, endsWhenTold, offset, size }: ResourceState, protocol: 'tus' | 'resumable'): boolean {
  if (protocol === 'tus') return !endsWhenTold;
  return complete || endsWhenTold || (kind === 'plain' && offset === size);
}

/** False once the sender may no longer upload. */
export function uploadAuthorization(
  deps: Pick<UploadCapabilityDeps, 'identity' | 'access'>,
  request: FastifyRequest,
): () => boolean {
  if (!byAddress.has(request) && bearerToken(request.headers.authorization) !== null)
    return authorizationOf(deps, request);
  const { id, kind } = creatorOf(deps, request.principal);
  return () => deps.identity.subject(kind, id) !== null;
}

/** The connection that a newer request took the upload from: nobody reads its answer, and it must bring nothing more. */
export function endSuperseded(request: FastifyRequest, error: unknown): void {
  if (error instanceof LadingError && error.code === 'superseded') request.raw.destroy();
}
