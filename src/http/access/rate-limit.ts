/**
 * Rate limits of addresses, of tokens and of principals, and the fields that tell of them (draft-ietf-httpapi-ratelimit-headers-10).
 *
 * A principal is a client or a person with all the tokens they have. A token has less, and its own bucket is asked first: a program
 * that runs wild is stopped before it has taken everything from the others of its owner. Frequent routes (chunks, status) say nothing in their replies while less than half of a minute's worth is used: the two
 * fields are a quarter of such a reply, and tell a sender what it need not know.
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
  /** To be called with every request before anything is done for it. */
  address(request: FastifyRequest, reply: FastifyReply): void;
  /** To be called once the token is known to be good, so that guesses take no room. */
  token(request: FastifyRequest, reply: FastifyReply, token: string): void;
  /** To be called once it is known who asks. */
  principal(request: FastifyRequest, reply: FastifyReply, principal: Principal): void;
}

/** Requests a minute; 0 allows any. */
export interface RateSettings {
  ratePrincipal: number;
  rateToken: number;
  rateAddress: number;
}

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
      throw keepsUploads(request) ? asOverload(error) : error;
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

/** The end of a token is its secret or its signature, and no two have the same. */
export function tokenKey(token: string): string {
  return token.slice(-43);
}

/** A member of the field `RateLimit`; names are ours and need no escapes. */
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
 * Clients of the resumable-upload protocols take most 4xx for "this upload is gone" and start over from nothing, above all as the
 * answer to the HEAD that asks how far they are.
 */
function keepsUploads({ method, headers }: FastifyRequest): boolean {
  return method === 'HEAD' || isTus(headers) || isResumable(headers);
}

function asOverload({ message, members }: LadingError): LadingError {
  return new LadingError('overloaded', message, members);
}
