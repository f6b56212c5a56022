/**
 * With `LADING_COMPAT=talk`, programs on this machine create API tokens without a sign-in. Their tokens belong to one client with the role
 * `client`, so that they cannot read the files of others.
 */
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { LadingError } from '../../errors.ts';
import type { Audit } from '../../identity/audit.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { DEFAULT_TENANT } from '../../identity/rights/policy.ts';
import { isLoopback } from '../../protocol/ip.ts';
import type { Principal } from '../../records/principal.ts';
import type { Config } from '../../settings/config.ts';
import { ACCESS_COOKIE, cookieOf } from '../request/cookies.ts';
import { isForeign } from '../request/csrf.ts';

/** What these functions need from the server. */
export interface LocalProgramsDeps {
  config: Pick<Config, 'compat'>;
  identity: Identity;
  audit: Audit;
  log: Logger;
}

/** Id of the client that their tokens belong to. */
export const LOCAL_CLIENT = 'talk';
const NAME = 'Programs on this machine (LADING_COMPAT=talk)';

/**
 * Returns a function that finds the principal of such a program; null for a request that must sign in.
 * @returns undefined if the setting does not allow it
 */
export function localPrograms(
  deps: LocalProgramsDeps,
): ((request: FastifyRequest) => Promise<Principal | null>) | undefined {
  const { config, identity, log, audit } = deps;
  if (!config.compat.allows('localTokens')) return undefined;
  let making: Promise<unknown> | null = null;
  const make = async ({ ip: address, id: requestId }: FastifyRequest): Promise<void> => {
    await identity.clients.create({ id: LOCAL_CLIENT, role: 'client', name: NAME });
    log.warn({ client: LOCAL_CLIENT }, 'created the client for tokens of programs without a sign-in');
    const what = {
      action: 'client_created',
      outcome: 'ok',
      target: LOCAL_CLIENT,
      detail: 'LADING_COMPAT=talk',
    } as const;
    audit.recordAggregated({ ...what, principal: null, tenant: DEFAULT_TENANT, address, requestId });
  };
  const createOnce = (request: FastifyRequest): Promise<unknown> => {
    making ??= make(request).finally(() => {
      making = null;
    });
    return making;
  };
  return async (request) => {
    if (!isLocalProgram(request)) return null;
    if (identity.clients.find(LOCAL_CLIENT) === null) await createOnce(request);
    const principal = identity.subject('device', LOCAL_CLIENT);
    if (principal?.role === 'client' && principal.tenant === DEFAULT_TENANT) return principal;
    throw new LadingError(
      'forbidden',
      `Tokens without a sign-in belong to the client ${LOCAL_CLIENT}. Enable this client and give it the role client.`,
    );
  };
}

/**
 * True for a request without credentials from a program on this machine. Proxies and browsers on this machine may act for others, so:
 *
 *     address             of the client must be loopback; an untrusted proxy on the machine does not count
 *     Host                must name the machine itself, not a public name that resolves to it (DNS rebinding)
 *     Origin and
 *     Sec-Fetch-Site      must be absent or name a page of this server
 *     HTTP/1.0            is refused: proxies with their default settings speak it, and forward no address
 */
function isLocalProgram(request: FastifyRequest): boolean {
  const { headers, ip, site, raw } = request;
  if (headers.authorization !== undefined || cookieOf(headers.cookie, ACCESS_COOKIE) !== null) return false;
  if (!isLoopback(ip) || !request.isClient || !site.isLocal || raw.httpVersion === '1.0') return false;
  // Pages of an allowed origin do not belong to this server.
  if (headers.origin !== undefined && !site.isOwn(headers.origin)) return false;
  return !isForeign(request);
}
