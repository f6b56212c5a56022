/**
 * The URLs of this server as the client of a request sees them. All links, redirects, `Location` fields and cookie paths are built here. The
 * server may be below a path of a proxy, which removes that path.
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
    /** False if `ip` is the address of a proxy; see `Peer`. */
    readonly isClient: boolean;
  }
}

/** The server as one client sees it. */
export class Site {
  /** Scheme, host and port; null if neither a setting nor the request contains them. */
  readonly origin: string | null;
  /** Empty, or a path without a slash at its end. */
  readonly prefix: string;
  /** True if the public URL has no TLS. */
  readonly isPlain: boolean;
  readonly #allowed: ReadonlySet<string>;
  /** The origin that the request used. It differs from `origin` if the client bypasses the public URL. */
  readonly #reached: string | null;

  /** @param publicUrl the setting, which takes precedence over the request */
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

  /** The path as the client must send it: `/drive/files/x` for `/files/x`. */
  path(path: string): string {
    return `${this.prefix}${path}`;
  }

  /**
   * The absolute URL of a path.
   * @throws LadingError `invalid_request` if the host is unknown
   */
  url(path: string): string {
    if (this.origin === null) throw new LadingError('invalid_request', 'The Host field is not valid.');
    return `${this.origin}${this.prefix}${path}`;
  }

  /** True for the origin of pages of this server. */
  isOwn(origin: string): boolean {
    return origin === this.origin || origin === this.#reached;
  }

  /** True for an origin in LADING_ALLOWED_ORIGINS. */
  isAllowed(origin: string): boolean {
    return origin !== '*' && this.#allowed.has(origin);
  }

  /** True if clients use TLS. */
  get secure(): boolean {
    return [this.origin, this.#reached].some((origin) => origin?.startsWith('https:'));
  }

  /** True if the request names the machine itself as host. */
  get isLocal(): boolean {
    return this.#reached !== null && LOOPBACK.test(new URL(this.#reached).hostname);
  }
}

const LOOPBACK = /^(?:localhost|[a-z0-9-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

function originOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).origin : null;
}

/** The path of a public URL, without a slash at its end. */
export function prefixOf(publicUrl: string | null): string {
  return publicUrl === null ? '' : new URL(publicUrl).pathname.replace(/\/$/, '');
}

/** The settings that determine URLs and clients. */
export interface SiteSettings {
  trustProxy: readonly string[];
  publicUrl: string | null;
  allowedOrigins: readonly string[];
}

/** Sets `ip`, `isClient`, `host`, `protocol` and `site` of requests. Register it before any hook. */
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
  // Read the address now. When a client has reset its stream, it is unknown.
  app.addHook('onRequest', (request, _reply, next) => {
    proxies.peerOf(request.raw);
    next();
  });
}
