/** Creates the server that listens: HTTP/1.1, or HTTP/2 and HTTP/1.1 over TLS. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import type { Config } from '../../settings/config.ts';
import type { Metrics } from '../observe/metrics.ts';
import { answerHalfOpen } from './half-open.ts';
import { HEADER_BYTES, lastResponse, rememberExchange } from './parse-error.ts';

/** Limit of the time until a header section is complete, from the first byte of the request or from the opening of the connection. */
const HEADERS_MS = 60_000;
/** Longer than the 60 s for which nginx and most load balancers keep an idle connection, so that they close it first. */
const KEEP_ALIVE_MS = 72_000;
const TIMEOUT_CHECK_MS = 5_000;
/** How long a connection without a request may still send one after the server begins to stop. */
const CLOSE_GRACE_MS = 1_000;
/** Limit of the concurrent HTTP/2 streams of one connection. */
const STREAMS = 128;
/**
 * Limit of the unread bytes that node holds for all streams of one HTTP/2 connection: enough for 20 Mbit/s at 100 ms. Above it, the client
 * waits until the engine reads.
 */
const WINDOW_BYTES = 256 * 1024;

/** What the listener needs from the server. */
export interface ListenerDeps {
  tls: Config['tls'];
  idleSeconds: number;
  metrics: Metrics;
  log: Logger;
}

/** For Fastify's `serverFactory`. The duration of a request has no limit, because a large chunk takes long on a slow line. */
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
      // `checkMessage` checks it, so that the refusal is a problem document.
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
 * Handles pipelined requests one after the other, because a request may depend on the effect of the previous one (RFC 9112 §9.3.2). Node
 * assigns the socket to a response when its turn comes. Until then the server stops reading from the connection.
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
    // Pause later, because node resumes the socket at the end of each request that it parses.
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

/** Makes `close()` also end connections that never sent a request; node would wait for them. */
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
    // A request that is on its way still gets an answer.
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
  // Node reads these properties for HTTP/1.1 connections, and has no options for them.
  Object.assign(server, { requestTimeout: 0, headersTimeout, keepAliveTimeout: KEEP_ALIVE_MS, timeout: 0 });
  // Node's HTTP/2 requests and responses have those parts of the HTTP/1.1 interface that Fastify and the routes use.
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
 * Replaces the certificate for new connections.
 * @throws Error if the certificate and the key do not match or cannot be read; the old ones stay in use
 */
export function replaceCertificate(server: Server, { cert, key }: NonNullable<Config['tls']>): void {
  // Check both first: when `setSecureContext` fails, it may have changed one of them.
  createSecureContext({ cert, key });
  (server as unknown as Http2SecureServer).setSecureContext({ cert, key });
}

/**
 * Reads the address of the client. Node caches it, so that the log can show it after the socket is closed. A connection that is already
 * reset has no address; it is closed, because no limit could count its requests.
 */
function rememberAddress(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
}

/** Lets the routes answer `Expect: 100-continue` (see `requestBody`) instead of node. */
function expectToContinue(server: Server, handler: RequestListener): void {
  server.on('checkContinue', handler);
  // RFC 9110 §10.1.1: a server may ignore unknown expectations.
  server.on('checkExpectation', handler);
}

/** Adds `closeAllConnections`, which node has only for HTTP/1.1 servers. */
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

/** Makes `close()` end each HTTP/2 session after its running streams; node would wait until the clients end them. */
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
