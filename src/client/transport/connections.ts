/** Connections from Node to the server: direct or through a proxy, with trusted certificates, and errors for failures. */

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
  /** Creates the body for each attempt. */
  body: () => Readable | null;
};

/** A server without TLS closes at once on a TLS handshake. A silent server is not probed longer. */
const PROBE_MS = 3_000;

/** Statuses with which proxies refuse a tunnel, in general or to some ports. */
const NO_TUNNEL = new Set([400, 403, 405, 501]);

/** The connections to one server. */
export class Connections {
  readonly #options: UndiciOptions;
  readonly #trust: SecureContext | null;
  readonly #agents = new Map<string, Dispatcher>();
  /** True when the server has answered before. */
  #hasAnswered = false;
  /** Proxies that open no tunnel to servers without TLS: they receive requests with the absolute URL. */
  readonly #forwarding = new Set<string>();

  /** @throws TypeError when `ca` holds no certificate */
  constructor(options: UndiciOptions) {
    this.#options = options;
    this.#trust = options.ca === undefined ? null : trustedContext(options.ca);
  }

  async send(url: URL, sent: Sent): Promise<Dispatcher.ResponseData> {
    const proxy = proxyFor(url, this.#options.env ?? process.env);
    const { body, ...options } = sent;
    const attempt = () => request(url, { ...options, body: body(), dispatcher: this.#agent(proxy) });
    const response = await attempt().catch((error: unknown) => {
      const refused = tunnelRefusalStatus(error);
      if (proxy === null || refused === null) throw error;
      if (url.protocol !== 'http:' || this.#forwarding.has(proxy.href) || !NO_TUNNEL.has(refused)) throw error;
      this.#forwarding.add(proxy.href);
      return attempt();
    });
    if (response.statusCode === 400 && !this.#hasAnswered && (await speaksTls(url, proxy))) {
      await response.body.dump();
      throw tlsRequired(url.href);
    }
    this.#hasAnswered = true;
    return response;
  }

  /** Converts the failure of a request to a `NetworkError`. */
  async failure(url: URL, error: unknown): Promise<NetworkError> {
    const proxy = proxyFor(url, this.#options.env ?? process.env);
    const refused = tunnelRefusalStatus(error);
    if (proxy !== null && refused !== null) return proxyRefusal(proxy, refused, error);
    const failure = networkError(error, this.#hasAnswered);
    if (this.#hasAnswered || !isConnectionCut(error)) return proxy === null ? failure : withProxyNote(proxy, failure);
    return (await speaksTls(url, proxy)) ? tlsRequired(url.href) : failure;
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

/** Trusts the certificates of Node and `ca`. Node can only replace its own list, not extend it. */
function trustedContext(ca: string): SecureContext {
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  const own = extra ? [readIfReadable(extra)] : [];
  try {
    // Check the first certificate: createSecureContext silently accepts a file without any.
    new X509Certificate(ca);
    return createSecureContext({ ca: [...rootCertificates, ...own, ca] });
  } catch (error) {
    throw new TypeError('ca holds no PEM certificate.', { cause: error });
  }
}

/** Reads a file of certificates. Ignores one that cannot be read, as Node does. */
function readIfReadable(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The URL of a proxy without name and password, which `authorizationOf` sends. */
function bare(proxy: URL): string {
  const url = new URL(proxy);
  url.username = '';
  url.password = '';
  return url.href;
}

/** The status with which a proxy refused a tunnel; null for any other error. */
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
      ? 'it requires a name and a password. Add them to the proxy variable: http://NAME:PASSWORD@HOST:PORT'
      : `it answered ${status}. To bypass the proxy, add the server to NO_PROXY`;
  return new NetworkError(`The proxy ${proxy.host} refused the connection: ${why}.`, { cause, final });
}

/** Adds to an error that the request went through a proxy. */
function withProxyNote(proxy: URL, { message, final, cause }: NetworkError): NetworkError {
  return new NetworkError(`${message} The request went through the proxy ${proxy.host}.`, { final, cause });
}

/** True when the server answers a TLS handshake after plain HTTP failed. */
function speaksTls(url: URL, proxy: URL | null): Promise<boolean> {
  if (url.protocol !== 'http:' || proxy !== null) return Promise.resolve(false);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    // No certificate check is needed, because nothing is sent over this connection.
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
