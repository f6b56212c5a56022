/**
 * HTTP clients for sign-in providers and the voice provider.
 *
 * Origins in settings may be on a private network. All other origins, for example from the metadata of a provider or from a redirect, must be
 * on the public internet and use https. The address is checked while the connection is made.
 */
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { LadingError } from '../errors.ts';
import { checkPublicHost, publicLookup } from './addresses.ts';

export interface OutgoingOptions {
  /** URLs from settings. Their origins may be on private networks. */
  trusted: readonly string[];
  /** The setting LADING_WEBHOOK_PRIVATE: all origins may be on private networks and use http. */
  allowPrivate: boolean;
  /** Timeout for establishing a connection. */
  timeoutMs: number;
  /** Called for each connection that is refused. */
  onRefused?: ((origin: string) => void) | undefined;
}

/** An agent that connects to allowed origins only. Other requests reject with a LadingError `invalid_request`. */
export function outgoingAgent({ trusted, allowPrivate, timeoutMs, onRefused }: OutgoingOptions): Agent {
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
        if (error instanceof LadingError) onRefused?.(origin);
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
  return new LadingError(
    'invalid_request',
    'Connections to other servers must use https. LADING_WEBHOOK_PRIVATE=on allows http too.',
  );
}

/** A `fetch` function that uses an agent. */
export function fetchThrough(agent: Agent): typeof fetch {
  // The built-in fetch belongs to another copy of undici, which rejects agents of this one.
  return ((url: string, init: object) => undiciFetch(url, { ...init, dispatcher: agent })) as unknown as typeof fetch;
}
