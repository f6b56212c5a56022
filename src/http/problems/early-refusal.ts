/**
 * How an error is answered while the client may still be sending its body.
 *
 * Closing a TCP connection with unread bytes sends a reset, and the reset may overtake the answer: the client sees a broken pipe
 * instead of why. So the whole answer goes out at once, but the connection stays for a while during which what still comes in is read
 * and thrown away. A client that looks at the connection while it sends sees the answer within a round trip; one that writes its
 * whole body first and reads then, as simple HTTP libraries do, gets through if the body is not larger than the bound.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { constants } from 'node:http2';
import type { FastifyReply, FastifyRequest, preParsingHookHandler } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { ProblemReply } from './problems.ts';

/**
 * A rest of at most so much is read to its end and the connection kept: cheaper for both sides than a new one, and the common case (a
 * fleet whose tokens ran out).
 */
const KEEP_ALIVE_BYTES = 1024 ** 2;
/**
 * At most so much of a longer rest is thrown away. Discarding is cheap (over 1 GB/s) and no more than the sender could do to a good
 * upload; the bound ends the connection of one that never stops.
 */
const DISCARD_BYTES = 128 * 1024 ** 2;
/** A sender that pauses for so long has had time to read the answer. */
const QUIET_MS = 5_000;
const MAX_MS = 30_000;

/** True when this message brings a body, which may not have arrived. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** Reads and discards what still comes; calls back once, at the end of the body or when a bound is reached. */
function discard(message: IncomingMessage, mostBytes: number, done: (whole: boolean) => void): void {
  let left = mostBytes;
  const finish = (): void => {
    clearTimeout(longest);
    clearTimeout(quiet);
    message.off('data', take);
    message.off('end', finish);
    message.off('close', finish);
    if (!message.readableEnded) message.pause();
    done(message.readableEnded);
  };
  const take = (piece: Buffer): void => {
    left -= piece.length;
    quiet.refresh();
    if (left < 0) finish();
  };
  const longest = setTimeout(finish, MAX_MS).unref();
  const quiet = setTimeout(finish, QUIET_MS).unref();
  message.unpipe();
  message.on('data', take);
  message.on('end', finish);
  message.on('close', finish);
  message.resume();
}

/** True when the rest of the body is so small that the connection is worth keeping, and neither side wants it closed. */
function mayGoOn(message: IncomingMessage, reply: FastifyReply): boolean {
  const { expect, 'content-length': length = Number.POSITIVE_INFINITY } = message.headers;
  // Whoever waits for `100 Continue` and gets a refusal may send the body or not (RFC 9110 §10.1.1): nobody knows what comes next.
  const unasked = expect !== undefined && !continued.has(message);
  const closing = reply.getHeader('connection') === 'close' || !reply.raw.shouldKeepAlive;
  return Number(length) <= KEEP_ALIVE_BYTES && !unasked && !closing;
}

/**
 * Sends an error as the answer to a request, whatever became of the request's body.
 * @returns true when the answer is out and the connection only waits for the rest of the body
 */
export function refuse(request: FastifyRequest, reply: FastifyReply, problem: ProblemReply): boolean {
  const message = request.raw;
  const response = reply.raw;
  if (response.headersSent || response.destroyed || message.socket?.destroyed === true) {
    // Nothing can be said any more; an answer that has begun must not look complete.
    reply.hijack();
    response.destroy();
    return false;
  }
  reply.code(problem.status).headers(problem.headers);
  if (message.httpVersionMajor >= 2) {
    refuseStream(reply, problem);
    return false;
  }
  if (!hasBody(message) || message.complete) {
    reply.send(problem.body);
    return false;
  }
  if (mayGoOn(message, reply)) {
    // `readRest` sees to the body afterwards.
    reply.send(problem.body);
    return false;
  }
  reply.header('connection', 'close').hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.write(problem.body);
  lingering.add(response);
  // With `Connection: close` node destroys the socket as soon as the response ends, so its end waits.
  discard(message, DISCARD_BYTES, () => response.end());
  return true;
}

/** Refusals of which everything is sent but the end. */
const lingering = new WeakSet<object>();

/** True while a refusal only waits for the rest of the body of its request. */
export function isLingering(response: ServerResponse): boolean {
  return lingering.has(response);
}

/**
 * Before anything else: a body of which nobody has read anything when the answer is out is discarded by node itself, without any
 * bound. One that was touched is left to `readRest`.
 */
export function claimBody(message: IncomingMessage): void {
  if (hasBody(message)) message.read(0);
}

/** After an answer: what of the body nobody read must not block the connection's next request, nor go on for ever. */
export function readRest(message: IncomingMessage): void {
  if (message.httpVersionMajor >= 2 || message.readableEnded || message.destroyed || !hasBody(message)) return;
  discard(message, KEEP_ALIVE_BYTES, (whole) => {
    if (!whole) message.destroy();
  });
}

/** HTTP/2 (RFC 9113 §8.1): a complete response, then RST_STREAM(NO_ERROR) tells the client to stop sending. */
function refuseStream(reply: FastifyReply, problem: ProblemReply): void {
  const response = reply.raw as ServerResponse | Http2ServerResponse;
  if ('stream' in response) {
    const { stream } = response;
    // Fastify closes the connection of a body that it did not take; HTTP/2 has no such field (RFC 9113 §8.2.2).
    reply.removeHeader('connection');
    response.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }
  reply.send(problem.body);
}

/** Requests that were told to go on (`100 Continue`). */
const continued = new WeakSet<IncomingMessage>();

/**
 * Call it when the body is wanted: a client that sent `Expect: 100-continue` waits for it (RFC 9110 §10.1.1). Refusals that come
 * before spare it the sending.
 */
export function wantBody(request: FastifyRequest, reply: FastifyReply): void {
  const message = request.raw;
  if (message.headers.expect === undefined || continued.has(message)) return;
  if (message.headers.expect.toLowerCase() !== '100-continue') return;
  continued.add(message);
  reply.raw.writeContinue();
}

/**
 * For routes that read their small body whole: asks for it, and refuses it when it is not there after so long. What it may weigh is
 * the business of the parser.
 */
export function smallBody(seconds: number): preParsingHookHandler {
  return (request, reply, _payload, next) => {
    wantBody(request, reply);
    const { raw } = request;
    const timer = setTimeout(() => {
      if (!raw.complete && !reply.sent)
        reply.send(new LadingError('request_timeout', 'The body did not arrive in time.'));
    }, seconds * 1000).unref();
    const arrived = (): void => clearTimeout(timer);
    raw.once('end', arrived).once('close', arrived);
    next();
  };
}
