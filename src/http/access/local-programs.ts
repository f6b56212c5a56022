/**
 * Programs on the machine itself that make API tokens without signing in, where `LADING_COMPAT=talk` lets them. Their tokens belong to a
 * client of their own, which has the role `client`, so that none of them reaches what others have stored.
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
 * Who such a program is; null for a request that must sign in.
 * @returns undefined where the setting does not allow it
 */
export function localPrograms(
  deps: LocalProgramsDeps,
): ((request: FastifyRequest) => Promise<Principal | null>) | undefined {
  const { config, identity, log, audit } = deps;
  if (!config.compat.allows('localTokens')) return undefined;
  let making: Promise<unknown> | null = null;
  const make = async ({ ip: address, id: requestId }: FastifyRequest): Promise<void> => {
    await identity.clients.create({ id: LOCAL_CLIENT, role: 'client', name: NAME });
    log.warn({ client: LOCAL_CLIENT }, 'made the client that tokens of programs without a sign-in belong to');
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
      `Tokens without a sign-in belong to the client ${LOCAL_CLIENT}, which must be enabled and have the role client.`,
    );
  };
}

/**
 * True for a program on this machine that shows no credentials. A proxy on it, and a page in a browser on it, speak for others:
 *
 *     address      of the client is loopback, not merely of the proxy; what an untrusted proxy forwards is not the machine's own
 *     Host         names the machine itself; a name of the web that leads here (DNS rebinding) does not
 *     Origin       and Sec-Fetch-Site are absent, or of a page of this server
 *     HTTP/1.0     is spoken by proxies that nobody set up any further, which forward no address
 */
function isLocalProgram(request: FastifyRequest): boolean {
  const { headers, ip, site, raw } = request;
  if (headers.authorization !== undefined || cookieOf(headers.cookie, ACCESS_COOKIE) !== null) return false;
  if (!isLoopback(ip) || !request.isClient || !site.isLocal || raw.httpVersion === '1.0') return false;
  // Pages of an allowed origin are strangers here.
  if (headers.origin !== undefined && !site.isOwn(headers.origin)) return false;
  return !isForeign(request);
}
