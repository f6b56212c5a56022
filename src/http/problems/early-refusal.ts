/**
 * Sends errors while the client may still be sending its body.
 *
 * Closing a TCP connection with unread bytes sends a reset, which may overtake the answer. Then the client sees a broken pipe instead of the
 * reason. So the server sends the whole answer at once, and for a while reads and discards the rest of the body. A client that reads while
 * it sends gets the answer within a round trip. A client that sends its whole body first, like simple HTTP libraries, gets the answer if the
 * body is not larger than the limit.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { constants } from 'node:http2';
import type { FastifyReply, FastifyRequest, preParsingHookHandler } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { ProblemReply } from './problems.ts';

/**
 * If the rest of the body has at most this size, it is read to its end and the connection stays open. This is cheaper for both sides than a
 * new connection, and common: a fleet whose tokens have expired.
 */
const KEEP_ALIVE_BYTES = 1024 ** 2;
/**
 * Limit of the bytes that are discarded before the connection closes, for clients that never stop. Discarding is cheap (over 1 GB/s).
 */
const DISCARD_BYTES = 128 * 1024 ** 2;
/** A client that pauses for this long has had time to read the answer. */
const QUIET_MS = 5_000;
const MAX_MS = 30_000;

/** True when the message has a body, which may not have arrived yet. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** Reads and discards the rest of the body. Calls `done` once, at the end of the body or at a limit. */
function discard(message: IncomingMessage, maxBytes: number, done: (complete: boolean) => void): void {
  let left = maxBytes;
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

/** True when the rest of the body is small enough to keep the connection, and neither side asked to close it. */
function mayKeepAlive(message: IncomingMessage, reply: FastifyReply): boolean {
  const { expect, 'content-length': length = Number.POSITIVE_INFINITY } = message.headers;
  // A client that waits for `100 Continue` and gets an error may or may not send the body (RFC 9110 §10.1.1), so the next bytes are ambiguous.
  const isAmbiguous = expect !== undefined && !continued.has(message);
  const closing = reply.getHeader('connection') === 'close' || !reply.raw.shouldKeepAlive;
  return Number(length) <= KEEP_ALIVE_BYTES && !isAmbiguous && !closing;
}

/**
 * Sends an error as the answer to a request, in any state of its body.
 * @returns true if the answer is sent and the response ends after the rest of the body
 */
export function refuse(request: FastifyRequest, reply: FastifyReply, problem: ProblemReply): boolean {
  const message = request.raw;
  const response = reply.raw;
  if (response.headersSent || response.destroyed || message.socket?.destroyed === true) {
    // No answer can be sent any more, and one that has begun must not look complete.
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
  if (mayKeepAlive(message, reply)) {
    // `readRest` handles the body afterwards.
    reply.send(problem.body);
    return false;
  }
  reply.header('connection', 'close').hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.write(problem.body);
  draining.add(response);
  // With `Connection: close`, node destroys the socket when the response ends, so end it later.
  discard(message, DISCARD_BYTES, () => response.end());
  return true;
}

/**
 * For an answer that has begun and ends with a refusal: resolves when the answer may end. Until then the rest of the body is read and
 * discarded, as `refuse` does.
 */
export async function endUnread(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const message = request.raw;
  const response = reply.raw as ServerResponse | Http2ServerResponse;
  if ('stream' in response) {
    const { stream } = response;
    response.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  } else if (hasBody(message) && !message.complete && !message.destroyed) {
    await new Promise<void>((resolve) => discard(message, DISCARD_BYTES, () => resolve()));
  }
}

/** Responses that are sent but not ended. */
const draining = new WeakSet<object>();

/** True while a response only waits for the rest of the request body. */
export function isDraining(response: ServerResponse): boolean {
  return draining.has(response);
}

/**
 * Takes over the discarding of the body. Call it before other hooks. Node discards a body that was never read without a limit; after this
 * call it leaves the body to `readRest`.
 */
export function claimBody(message: IncomingMessage): void {
  if (hasBody(message)) message.read(0);
}

/** Discards the rest of the body after an answer, so that the connection can carry the next request. Closes the connection at a limit. */
export function readRest(message: IncomingMessage): void {
  if (message.httpVersionMajor >= 2 || message.readableEnded || message.destroyed || !hasBody(message)) return;
  discard(message, KEEP_ALIVE_BYTES, (complete) => {
    if (!complete) message.destroy();
  });
}

/** Sends an error on HTTP/2: a complete response, then RST_STREAM(NO_ERROR), which tells the client to stop sending (RFC 9113 §8.1). */
function refuseStream(reply: FastifyReply, problem: ProblemReply): void {
  const response = reply.raw as ServerResponse | Http2ServerResponse;
  if ('stream' in response) {
    const { stream } = response;
    // Fastify sets `connection` for a body that it did not read; HTTP/2 has no such field (RFC 9113 §8.2.2).
    reply.removeHeader('connection');
    response.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }
  reply.send(problem.body);
}

/** Requests that received `100 Continue`. */
const continued = new WeakSet<IncomingMessage>();

/**
 * Sends `100 Continue` to a client that waits for it before it sends the body (RFC 9110 §10.1.1). Call it when all checks have passed, so
 * that a client whose request is refused need not send the body.
 */
export function requestBody(request: FastifyRequest, reply: FastifyReply): void {
  const message = request.raw;
  if (message.headers.expect === undefined || continued.has(message)) return;
  if (message.headers.expect.toLowerCase() !== '100-continue') return;
  continued.add(message);
  reply.raw.writeContinue();
}

/**
 * Returns a hook for routes that buffer a small body. It requests the body, and answers 408 if the body does not arrive within `seconds`.
 * The parser limits the size.
 */
export function smallBody(seconds: number): preParsingHookHandler {
  return (request, reply, _payload, next) => {
    requestBody(request, reply);
    const { raw } = request;
    const timer = setTimeout(() => {
      if (!raw.complete && !reply.sent)
        reply.send(
          new LadingError('request_timeout', 'The request body did not arrive in time. Send the request again.'),
        );
    }, seconds * 1000).unref();
    const arrived = (): void => clearTimeout(timer);
    raw.once('end', arrived).once('close', arrived);
    next();
  };
}
