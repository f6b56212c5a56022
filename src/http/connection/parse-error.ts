/**
 * Answers input that node's parser cannot read. There is no request object, so the answer is written to the socket, and only where the
 * client expects one:
 *
 *     first on the connection                    400, close
 *     after complete requests                    their answers, then 400, close
 *     in the body of an unanswered request       400, close
 *     in the body of an answered request         close
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type ErrorCode, LadingError } from '../../errors.ts';
import { isDraining } from '../problems/early-refusal.ts';
import { problemReply, withError } from '../problems/problems.ts';
import { carrierOf } from './carrier.ts';
import { securityFields } from './security-fields.ts';
import { unknownTransferCoding } from './transfer-coding.ts';

/** Limit of a header section: enough for a percent-encoded name of 1024 bytes, a token and the fields of proxies. */
export const HEADER_BYTES = 32 * 1024;
/** Delay before the connection is closed. Closing at once would send a reset, which could overtake the answer. */
const CLOSE_MS = 1_000;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** The last request of each connection. */
const last = new WeakMap<Socket, Exchange>();
/** Connections after an error. Node reports the error again for all further input. */
const broken = new WeakSet<Socket>();

/** Call it with every HTTP/1 request, when its header section has arrived. */
export function rememberExchange(request: IncomingMessage, response: ServerResponse): void {
  last.set(request.socket, { request, response });
}

/** The answer to the last request of a connection. */
export function lastResponse(socket: Socket): ServerResponse | undefined {
  return last.get(socket)?.response;
}

/** Node's error for a request that it could not parse. */
interface ParseError extends Error {
  code?: string;
  /** The parser's message. */
  reason?: string;
  /** The bytes that it was reading. */
  rawPacket?: unknown;
}

function errorOf(error: ParseError): LadingError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new LadingError('headers_too_large', `The header section is longer than ${HEADER_BYTES} bytes.`);
  }
  if (error.code === 'HPE_INVALID_TRANSFER_ENCODING' && hasOneTransferCoding(error)) return unknownTransferCoding();
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new LadingError('request_timeout', 'The header section did not arrive in time.');
  }
  return new LadingError('invalid_request', 'This is not a valid HTTP request.');
}

/** False for a repeated field and for one beside `Content-Length`, which indicate an attack rather than an unknown coding. */
function hasOneTransferCoding({ reason = '', rawPacket }: ParseError): boolean {
  const packet = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1') : '';
  const lines = packet.match(/\r\ntransfer-encoding:/gi) ?? [];
  return lines.length <= 1 && !reason.includes('Content-Length');
}

/** Called with each answer, for the log. The address is undefined if the client left before the server read it. */
export type OnAnswer = (code: ErrorCode, status: number, address: string | undefined) => void;

/** Answers a parse error and closes the connection. For Fastify's `clientErrorHandler`. */
export function answerParseError(error: ParseError, socket: Socket, answered: OnAnswer): void {
  if (broken.has(socket)) return;
  broken.add(socket);
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable || !speaksHttp1(socket)) {
    socket.destroy();
    return;
  }
  const exchange = last.get(socket);
  if (exchange === undefined) {
    answer(error, socket, answered);
    return;
  }
  const { request, response } = exchange;
  // The error is in the request after this one.
  if (request.complete) {
    const next = (): void => {
      // An answer that closes the connection is the last one.
      if (response.shouldKeepAlive && response.getHeader('connection') !== 'close') answer(error, socket, answered);
    };
    if (response.writableFinished) next();
    else response.once('finish', next);
    return;
  }
  if (response.headersSent) closeAfter(response, socket);
  else if (response.socket !== null) answer(error, socket, answered);
  // Earlier requests are still being answered.
  else response.once('socket', () => answer(error, socket, answered));
}

/**
 * False before the end of a TLS handshake, and for HTTP/2. A write would wait for the handshake. If an HTTP/2 session then takes over the
 * connection, its first write collides with the waiting one, and node aborts the process.
 */
function speaksHttp1(socket: Socket): boolean {
  return !(socket instanceof TLSSocket) || (socket.alpnProtocol !== null && socket.alpnProtocol !== 'h2');
}

/** Closes the connection of an answer that has begun. No second answer may follow it, and a truncated one must not look complete. */
function closeAfter(response: ServerResponse, socket: Socket): void {
  if (!response.writableEnded && isDraining(response)) response.end();
  if (!response.writableEnded) {
    socket.destroy();
    return;
  }
  if (response.writableFinished) close(socket);
  else response.once('finish', () => close(socket));
}

function close(socket: Socket): void {
  socket.end();
  setTimeout(() => socket.destroy(), CLOSE_MS).unref();
}

function answer(error: ParseError, socket: Socket, answered: OnAnswer): void {
  if (socket.destroyed || !socket.writable) return;
  // The route is unknown, so the answer has the members that the clients of any route read.
  const refusal = withError(errorOf(error));
  const { status, headers, body } = problemReply(refusal, null, false);
  answered(refusal.code, status, carrierOf(socket).remoteAddress);
  const secure = 'encrypted' in socket && socket.encrypted === true;
  const all = { ...securityFields(secure), ...headers, connection: 'close', date: new Date().toUTCString() };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}\r\n${head.join('')}\r\n`);
  socket.write(body);
  close(socket);
}

const REASONS: Record<number, string> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
};
