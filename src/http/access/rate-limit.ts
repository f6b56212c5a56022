/**
 * Rate limits of addresses, tokens and principals, and the fields that report them (draft-ietf-httpapi-ratelimit-headers-10).
 *
 * A principal is a client or a person with all tokens. A token has a lower limit, which is checked first, so that a faulty program is
 * stopped before it uses up the limit of its owner. Replies of frequent routes (chunks, status) omit the fields until half of the limit is
 * used, because the fields would be a quarter of such a reply.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type BareItem, serializeList } from 'structured-headers';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import { type Bucket, Rates, WINDOW_SECONDS } from '../../identity/limits/rates.ts';
import { ownerKey } from '../../identity/rights/policy.ts';
import { isResumable } from '../../protocol/http/resumable.ts';
import { isTus } from '../../protocol/http/tus.ts';
import { networkOf } from '../../protocol/ip.ts';
import type { Principal } from '../../records/principal.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The health checks, which are never rate-limited. */
    unlimited?: boolean;
  }
}

export interface RateLimits {
  /** Call it with every request, before any work is done for it. */
  address(request: FastifyRequest, reply: FastifyReply): void;
  /** Call it when the token is known to be valid, so that guesses use no memory. */
  token(request: FastifyRequest, reply: FastifyReply, token: string): void;
  /** Call it when the principal is known. */
  principal(request: FastifyRequest, reply: FastifyReply, principal: Principal): void;
}

/** Requests per minute; 0 for no limit. */
export interface RateSettings {
  ratePrincipal: number;
  rateToken: number;
  rateAddress: number;
}

/** Creates the three limits. Each throws `rate_limited`, or `overloaded` for upload clients. */
export function rateLimits(settings: RateSettings, clock: Clock): RateLimits {
  const addresses = new Rates('address', settings.rateAddress, clock);
  const principals = new Rates('principal', settings.ratePrincipal, clock);
  const tokens = new Rates('token', settings.rateToken, clock);
  const policy = policyField([addresses, tokens, principals].filter(({ isEnabled: on }) => on));

  function take(rates: Rates, key: string, request: FastifyRequest, reply: FastifyReply): void {
    let bucket: Bucket;
    try {
      bucket = rates.take(key);
    } catch (error) {
      if (!(error instanceof LadingError)) throw error;
      const seconds = error.members.retry_after ?? 1;
      reply.header('ratelimit-policy', policy).header('ratelimit', item(rates.name, 0, seconds));
      throw isUploadClient(request) ? asOverload(error) : error;
    }
    const { remaining, seconds } = rates.stateOf(bucket);
    if (request.routeOptions.config.frequent === true && remaining * 2 > rates.limit) return;
    const before = reply.getHeader('ratelimit');
    const field = item(rates.name, remaining, seconds);
    reply.header('ratelimit-policy', policy).header('ratelimit', before === undefined ? field : `${before}, ${field}`);
  }

  return {
    address(request, reply) {
      if (addresses.isEnabled && request.routeOptions.config.unlimited !== true) {
        take(addresses, networkOf(request.ip), request, reply);
      }
    },
    token(request, reply, token) {
      if (tokens.isEnabled) take(tokens, tokenKey(token), request, reply);
    },
    principal(request, reply, { tenant, id }) {
      if (principals.isEnabled) take(principals, ownerKey(tenant, id), request, reply);
    },
  };
}

/** Applies the limit of addresses to every request. */
export function limitAddresses(app: FastifyInstance, limits: RateLimits): void {
  app.addHook('onRequest', (request, reply, next) => {
    try {
      limits.address(request, reply);
    } catch (error) {
      return next(error instanceof Error ? error : undefined);
    }
    next();
  });
}

/** The end of a token: its secret or its signature, which is unique. */
export function tokenKey(token: string): string {
  return token.slice(-43);
}

/** A member of the field `RateLimit`. The names need no escapes. */
function item(name: string, remaining: number, seconds: number): string {
  return `"${name}";r=${remaining};t=${seconds}`;
}

function policyField(all: Rates[]): string {
  return serializeList(
    all.map(({ name, limit }): [BareItem, Map<string, BareItem>] => [
      name,
      new Map<string, BareItem>([
        ['q', limit],
        ['w', WINDOW_SECONDS],
      ]),
    ]),
  );
}

/**
 * True for requests of upload clients (tus and resumable uploads). They take most 4xx to mean that the upload no longer exists and start it
 * again, especially after the HEAD that asks for the offset.
 */
function isUploadClient({ method, headers }: FastifyRequest): boolean {
  return method === 'HEAD' || isTus(headers) || isResumable(headers);
}

function asOverload({ message, members }: LadingError): LadingError {
  return new LadingError('overloaded', message, members);
}
