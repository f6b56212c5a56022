/**
 * Addresses of this server as the client of a request sees them: the one place that makes links, redirects, `Location` and the paths of
 * cookies. The server may be below a path of a proxy, which takes that path away.
 *
 *     https://files.example.org/drive/s/abc → proxy → http://127.0.0.1:8005/s/abc
 *     origin                    prefix path
 */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { type Peer, Proxies } from './proxies.ts';

declare module 'fastify' {
  interface FastifyRequest {
    readonly site: Site;
    /** False when `ip` is merely the address of a proxy: see `Peer`. */
    readonly isClient: boolean;
  }
}

export class Site {
  /** Scheme, host and port; null when neither a setting nor the request tells them. */
  readonly origin: string | null;
  /** Empty, or a path without a slash at its end. */
  readonly prefix: string;
  /** True when the settings say that its clients come without TLS. */
  readonly isPlain: boolean;
  readonly #allowed: ReadonlySet<string>;
  /** As the request itself says, which differs where somebody comes by another way than the public one. */
  readonly #reached: string | null;

  /** @param publicUrl of the settings: it says all, whatever a request says */
  constructor(
    { protocol, host, prefix }: Omit<Peer, 'address' | 'isClient'>,
    publicUrl: string | null,
    allowed: ReadonlySet<string>,
  ) {
    this.#allowed = allowed;
    this.isPlain = publicUrl?.startsWith('http:') === true;
    this.#reached = originOf(`${protocol}://${host}`);
    if (publicUrl === null) {
      this.origin = this.#reached;
      this.prefix = prefix;
    } else {
      this.origin = originOf(publicUrl);
      this.prefix = prefixOf(publicUrl);
    }
  }

  /** Where a path of this server is for a client that has the host: `/drive/files/x` for `/files/x`. */
  path(path: string): string {
    return `${this.prefix}${path}`;
  }

  /**
   * The same with scheme and host.
   * @throws LadingError `invalid_request` when the host is not known
   */
  url(path: string): string {
    if (this.origin === null) throw new LadingError('invalid_request', 'The Host field is not valid.');
    return `${this.origin}${this.prefix}${path}`;
  }

  /** True for the origin of pages of this server. */
  isOwn(origin: string): boolean {
    return origin === this.origin || origin === this.#reached;
  }

  /** True for an origin of the setting. */
  isAllowed(origin: string): boolean {
    return origin !== '*' && this.#allowed.has(origin);
  }

  /** True when its clients come by TLS. */
  get secure(): boolean {
    return [this.origin, this.#reached].some((origin) => origin?.startsWith('https:'));
  }

  /** True when its clients are on the machine itself. */
  get isLocal(): boolean {
    return this.#reached !== null && LOOPBACK.test(new URL(this.#reached).hostname);
  }
}

const LOOPBACK = /^(?:localhost|[a-z0-9-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

function originOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).origin : null;
}

/** The path of a public address, without the slash at its end. */
export function prefixOf(publicUrl: string | null): string {
  return publicUrl === null ? '' : new URL(publicUrl).pathname.replace(/\/$/, '');
}

export interface SiteSettings {
  trustProxy: readonly string[];
  publicUrl: string | null;
  allowedOrigins: readonly string[];
}

/** Sets the client's address (`ip`), `host`, `protocol` and `site` of requests. Register it before any hook. */
export function sites(app: FastifyInstance, { trustProxy, publicUrl, allowedOrigins }: SiteSettings): void {
  const allowed = new Set(allowedOrigins);
  const proxies = new Proxies(trustProxy);
  const ofPeer = <T>(read: (peer: Peer) => T) => ({
    getter(this: { raw: Parameters<Proxies['peerOf']>[0] }) {
      return read(proxies.peerOf(this.raw));
    },
  });
  app.decorateRequest('ip', ofPeer(({ address }) => address) as never);
  app.decorateRequest('isClient', ofPeer(({ isClient }) => isClient) as never);
  app.decorateRequest('host', ofPeer(({ host }) => host) as never);
  app.decorateRequest('protocol', ofPeer(({ protocol }) => protocol) as never);
  app.decorateRequest('site', ofPeer((peer) => new Site(peer, publicUrl, allowed)) as never);
  // While its connection is there: of a stream that its client gave up nobody can ask any more.
  app.addHook('onRequest', (request, _reply, next) => {
    proxies.peerOf(request.raw);
    next();
  });
}
