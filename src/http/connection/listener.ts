/** The sockets: plain HTTP/1.1, or TLS with HTTP/2 and HTTP/1.1. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import type { Config } from '../../settings/config.ts';
import type { Metrics } from '../observe/metrics.ts';
import { answerHalfOpen } from './half-open.ts';
import { HEADER_BYTES, lastResponse, rememberExchange } from './parse-error.ts';

/** Longest time from the first byte of a request, or from the opening of a connection, to the end of its header section. */
const HEADERS_MS = 60_000;
/** Longer than the 60 s for which nginx and most load balancers keep an unused connection, so that they close it and not we. */
const KEEP_ALIVE_MS = 72_000;
const TIMEOUT_CHECK_MS = 5_000;
/** How long a connection without a request may still send one after the stop began. */
const CLOSE_GRACE_MS = 1_000;
/** HTTP/2 streams of one connection at one time. */
const STREAMS = 128;
/**
 * Unread bytes that node may hold for one HTTP/2 connection, all its streams together: enough for 20 Mbit/s over 100 ms. Beyond that
 * the client waits until the engine has read.
 */
const WINDOW_BYTES = 256 * 1024;

export interface ListenerDeps {
  tls: Config['tls'];
  idleSeconds: number;
  metrics: Metrics;
  log: Logger;
}

/** For Fastify's `serverFactory`. No limit on the length of a request: a large chunk on a slow line takes its time. */
export function createListener({ tls, idleSeconds, metrics, log }: ListenerDeps, handle: RequestListener): Server {
  const handler = inTurn(handle);
  const headersTimeout = Math.min(HEADERS_MS, idleSeconds * 1000);
  if (tls) return createSecureListener(tls, headersTimeout, metrics, log, handler);
  const server = createServer(
    {
      requestTimeout: 0,
      headersTimeout,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      maxHeaderSize: HEADER_BYTES,
      // Checked by ourselves, so that this refusal too is a problem document.
      requireHostHeader: false,
      noDelay: true,
    },
    handler,
  );
  server.timeout = 0;
  expectToContinue(server, handler);
  server.on('connection', (socket) => {
    metrics.connection(socket);
    rememberAddress(socket);
  });
  answerHalfOpen(server, lastResponse);
  closeSilentWith(server);
  return server;
}

/**
 * A request that was sent before the answer to the one before it waits for that answer, for it may depend on what the other does
 * (RFC 9112 §9.3.2). Node gives a response its socket when its turn comes. Meanwhile no more is read than what came along.
 */
function inTurn(handler: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    if (!('stream' in request)) rememberExchange(request, response);
    if (response.socket !== null || request.httpVersionMajor !== 1) {
      handler(request, response);
      return;
    }
    waiting.set(socket, (waiting.get(socket) ?? 0) + 1);
    // Not at once: at the end of each request that node parses it starts to read again.
    setImmediate(() => {
      if (waiting.get(socket)) socket.pause();
    });
    response.once('socket', () => {
      const left = (waiting.get(socket) ?? 1) - 1;
      waiting.set(socket, left);
      if (left === 0) socket.resume();
      handler(request, response);
    });
  };
}

/** `close()` ends idle connections, but would wait for those that never sent a request. */
function closeSilentWith(server: Server): void {
  const silent = new Set<Socket>();
  server.on('connection', (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  for (const event of ['request', 'checkContinue', 'checkExpectation']) {
    server.on(event, ({ socket }: IncomingMessage) => silent.delete(socket));
  }
  const close = server.close.bind(server);
  server.close = (done) => {
    close(done);
    // A request may be on its way: it still gets its refusal.
    setTimeout(() => {
      for (const socket of silent) socket.destroy();
    }, CLOSE_GRACE_MS).unref();
    return server;
  };
}

function createSecureListener(
  { cert, key }: NonNullable<Config['tls']>,
  headersTimeout: number,
  metrics: Metrics,
  log: Logger,
  handler: RequestListener,
): Server {
  const server = createSecureServer({
    cert,
    key,
    allowHTTP1: true,
    handshakeTimeout: headersTimeout,
    maxHeaderListPairs: 256,
    settings: { maxConcurrentStreams: STREAMS, initialWindowSize: WINDOW_BYTES, maxHeaderListSize: HEADER_BYTES },
  });
  // The HTTP/1.1 side reads these properties; node has no options for it.
  Object.assign(server, { requestTimeout: 0, headersTimeout, keepAliveTimeout: KEEP_ALIVE_MS, timeout: 0 });
  // Node's HTTP/2 requests and responses have the interface of the HTTP/1.1 ones, as far as Fastify and the routes use it.
  const both = server as unknown as Server;
  both.on('request', handler);
  expectToContinue(both, handler);
  server.on('connection', (socket: Socket) => {
    metrics.connection(socket);
    rememberAddress(socket);
  });
  answerHalfOpen(both, lastResponse, true);
  closeAllOf(server, both);
  server.on('sessionError', (error) => log.debug({ err: error }, 'http2 session'));
  closeSessionsWith(server);
  return both;
}

/**
 * New connections get this certificate; those that are open keep theirs.
 * @throws Error when the certificate and the key do not match or cannot be read; the old ones stay in use
 */
export function replaceCertificate(server: Server, { cert, key }: NonNullable<Config['tls']>): void {
  // Before anything is changed: `setSecureContext` would keep half of what it refuses.
  createSecureContext({ cert, key });
  (server as unknown as Http2SecureServer).setSecureContext({ cert, key });
}

/**
 * Node forgets the address of a closed socket that was never asked for it; the log wants to know who left. One that was reset already has
 * none: nobody is there to get an answer, and what it asks for would count for nobody.
 */
function rememberAddress(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
}

/** Node answers `Expect: 100-continue` by itself unless it is asked not to; here the routes decide (see `wantBody`). */
function expectToContinue(server: Server, handler: RequestListener): void {
  server.on('checkContinue', handler);
  // RFC 9110 §10.1.1: an expectation that is not understood may be ignored.
  server.on('checkExpectation', handler);
}

/** Node has `closeAllConnections` only for servers that speak nothing but HTTP/1.1. */
function closeAllOf(server: Http2SecureServer, both: Server): void {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  both.closeAllConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
}

/** `close()` of an HTTP/2 server waits for its sessions, which clients keep open; each is told to end after its running streams. */
function closeSessionsWith(server: Http2SecureServer): void {
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    session.setLocalWindowSize(WINDOW_BYTES);
    session.setTimeout(KEEP_ALIVE_MS, () => session.close());
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  const close = server.close.bind(server);
  server.close = (done) => {
    close(done);
    for (const session of sessions) session.close();
    return server;
  };
}
