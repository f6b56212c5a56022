/** How requests of Node reach the server: directly or through a proxy, trusting whom; and what it means when they do not. */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls, createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import { isConnectionCut, NetworkError, networkError, tlsRequired } from './failures.ts';
import { authorizationOf, proxyFor } from './proxies.ts';
import { isSocks, socksConnector } from './socks.ts';
import type { UndiciOptions } from './undici-options.ts';

type Sent = Omit<Dispatcher.RequestOptions, 'origin' | 'path' | 'body'> & {
  /** Makes the body anew for each try. */
  body: () => Readable | null;
};

/** A plain server closes at once on the first byte of TLS; one that is silent is not asked for longer. */
const PROBE_MS = 3_000;

/** What proxies answer that open tunnels to some ports only, or none at all. */
const NO_TUNNEL = new Set([400, 403, 405, 501]);

export class Connections {
  readonly #options: UndiciOptions;
  readonly #trust: SecureContext | null;
  readonly #agents = new Map<string, Dispatcher>();
  /** Some server has answered. */
  #met = false;
  /** Proxies that open no tunnel to servers without TLS: they get the whole address instead. */
  readonly #forwarding = new Set<string>();

  /** Throws a TypeError when `ca` is no certificate. */
  constructor(options: UndiciOptions) {
    this.#options = options;
    this.#trust = options.ca === undefined ? null : trustedContext(options.ca);
  }

  async send(url: URL, sent: Sent): Promise<Dispatcher.ResponseData> {
    const proxy = proxyFor(url, this.#options.env ?? process.env);
    const { body, ...options } = sent;
    const ask = () => request(url, { ...options, body: body(), dispatcher: this.#agent(proxy) });
    const response = await ask().catch((error: unknown) => {
      const refused = tunnelRefusalStatus(error);
      if (proxy === null || refused === null) throw error;
      if (url.protocol !== 'http:' || this.#forwarding.has(proxy.href) || !NO_TUNNEL.has(refused)) throw error;
      this.#forwarding.add(proxy.href);
      return ask();
    });
    if (response.statusCode === 400 && !this.#met && (await speaksTls(url, proxy))) {
      await response.body.dump();
      throw tlsRequired(url.href);
    }
    this.#met = true;
    return response;
  }

  /** What a failed request means. */
  async failure(url: URL, error: unknown): Promise<NetworkError> {
    const proxy = proxyFor(url, this.#options.env ?? process.env);
    const refused = tunnelRefusalStatus(error);
    if (proxy !== null && refused !== null) return proxyRefusal(proxy, refused, error);
    const made = networkError(error, this.#met);
    if (this.#met || !isConnectionCut(error)) return proxy === null ? made : withProxyNote(proxy, made);
    return (await speaksTls(url, proxy)) ? tlsRequired(url.href) : made;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  #agent(proxy: URL | null): Dispatcher {
    const tunnel = proxy === null || !this.#forwarding.has(proxy.href);
    const key = `${proxy?.href} ${tunnel}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const { connections = 32, connectMs = 15_000 } = this.#options;
    const tls = { timeout: connectMs, ...(this.#trust === null ? {} : { secureContext: this.#trust }) };
    const common = { connections, pipelining: 1, keepAliveTimeout: 4_000 };
    const made = make();
    this.#agents.set(key, made);
    return made;

    function make(): Dispatcher {
      if (proxy === null) return new Agent({ ...common, connect: tls });
      if (isSocks(proxy)) return new Agent({ ...common, connect: socksConnector(proxy, tls) });
      const authorization = authorizationOf(proxy);
      return new ProxyAgent({
        ...common,
        uri: bare(proxy),
        ...(authorization === null ? {} : { token: authorization }),
        proxyTunnel: tunnel,
        requestTls: tls,
        proxyTls: tls,
      });
    }
  }
}

/** Those that Node trusts, and the given ones. Node has no way to add to its own, only to replace them. */
function trustedContext(ca: string): SecureContext {
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  const own = extra ? [readIfThere(extra)] : [];
  try {
    // Only the first is looked at here, so that a file of something else is not taken for one that trusts nobody.
    new X509Certificate(ca);
    return createSecureContext({ ca: [...rootCertificates, ...own, ca] });
  } catch (error) {
    throw new TypeError('ca holds no certificate in PEM.', { cause: error });
  }
}

/** Node itself only warns of a file that cannot be read. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The address of a proxy without the name and password in it, for `authorizationOf` sends those. */
function bare(proxy: URL): string {
  const url = new URL(proxy);
  url.username = '';
  url.password = '';
  return url.href;
}

/** The status with which a proxy refused to open a tunnel, null when that is not what happened. */
function tunnelRefusalStatus(error: unknown): number | null {
  const status = /^Proxy response \((\d{3})\)|^Proxy Authentication Required \((407)\)/.exec(
    error instanceof Error ? error.message : '',
  );
  return status === null ? null : Number(status[1] ?? status[2]);
}

function proxyRefusal(proxy: URL, status: number, cause: unknown): NetworkError {
  const final = status < 500 && status !== 408 && status !== 429;
  const why =
    status === 407
      ? 'it wants a name and a password. Write them into the variable: http://NAME:PASSWORD@HOST:PORT'
      : `it answered ${status}. NO_PROXY names hosts that are asked directly`;
  return new NetworkError(`The proxy ${proxy.host} does not let this through: ${why}.`, { cause, final });
}

/** Says that a proxy is in between: what failed may be the way there. */
function withProxyNote(proxy: URL, { message, final, cause }: NetworkError): NetworkError {
  return new NetworkError(`${message} The request went through the proxy ${proxy.host}.`, { final, cause });
}

/** Tries a handshake where plain HTTP got no answer. */
function speaksTls(url: URL, proxy: URL | null): Promise<boolean> {
  if (url.protocol !== 'http:' || proxy !== null) return Promise.resolve(false);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    // It is only asked whether it does: nothing is sent to it, so whom it is signed by does not matter.
    const socket = connectTls({ host, port: Number(url.port || 80), rejectUnauthorized: false, ...name });
    const end = (speaks: boolean) => {
      socket.destroy();
      resolve(speaks);
    };
    socket.setTimeout(PROBE_MS, () => end(false));
    socket.once('secureConnect', () => end(true));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}
