/**
 * Every HTTP connection that the server makes to others: webhooks, sign-in providers, the voice provider.
 *
 * The operator may name a host of the own network in a setting. What others name must be of the public internet and speak https: an
 * endpoint in the metadata of a provider, a redirect, the URL of a webhook. The check is made as a connection is made, on the address
 * that is connected to.
 */
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { LadingError } from '../errors.ts';
import { checkPublicHost, publicLookup } from './addresses.ts';

export interface OutgoingOptions {
  /** URLs from settings; their origins may be anywhere. */
  trusted: readonly string[];
  /** LADING_WEBHOOK_PRIVATE: all origins may be anywhere, and may speak http. */
  allowPrivate: boolean;
  /** For making a connection. */
  timeoutMs: number;
  /** Hears of each connection that was refused. */
  refused?: ((origin: string) => void) | undefined;
}

/** Connects to allowed places only; a request to another one rejects with a LadingError `invalid_request`. */
export function outgoingAgent({ trusted, allowPrivate, timeoutMs, refused }: OutgoingOptions): Agent {
  const origins = new Set(trusted.map((url) => new URL(url).origin));
  const anywhere = buildConnector({ timeout: timeoutMs });
  const publicOnly = buildConnector({ timeout: timeoutMs, lookup: publicLookup() });
  return new Agent({
    keepAliveTimeout: 1_000,
    connections: 8,
    connect: (options, callback) => {
      const { origin } = new URL(`${options.protocol}//${options.host ?? options.hostname}`);
      if (allowPrivate || origins.has(origin)) {
        anywhere(options, callback);
        return;
      }
      const fail = (error: Error): void => {
        if (error instanceof LadingError) refused?.(origin);
        callback(error, null);
      };
      try {
        checkPublicHost(options.hostname.replace(/^\[|\]$/g, ''));
        if (options.protocol !== 'https:') throw notSecure();
      } catch (error) {
        fail(error as Error);
        return;
      }
      publicOnly(options, (...result) => {
        if (result[0]) fail(result[0]);
        else callback(...result);
      });
    },
  });
}

function notSecure(): LadingError {
  return new LadingError('invalid_request', 'Only https goes to others. LADING_WEBHOOK_PRIVATE=on allows http, too.');
}

/** The web's `fetch` through an agent. */
export function fetchThrough(agent: Agent): typeof fetch {
  // Node's own has another undici inside, which takes no agent of this one. Both follow one standard.
  return ((url: string, init: object) => undiciFetch(url, { ...init, dispatcher: agent })) as unknown as typeof fetch;
}
