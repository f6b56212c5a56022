/** The log: one line of JSON per request. It contains no secrets: no query, no authorization, no body. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { ErrorCode } from '../../errors.ts';
import type { Metrics } from './metrics.ts';

const timestamp = (): string => `,"time":"${new Date().toISOString()}"`;

/** The line that reports how many lines could not be written. */
export function missingLines(count: number): string {
  return `{"level":"warn"${timestamp()},"dropped":${count},"msg":"log lines were dropped: the log could not be written"}\n`;
}

/** Creates the logger. Fields with credentials are removed from its lines. */
export function createLog(level: string, to: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: [
          'authorization',
          'cookie',
          'secret',
          'token',
          'password',
          'client_secret',
          'headers',
          '*.headers',
          '*.authorization',
        ],
        remove: true,
      },
    },
    to,
  );
}

/**
 * The path of a request for logs. It contains neither the secrets that the path rules remove, nor tokens that a client sent in place of an
 * id.
 */
export function loggedPath({ redactedPath }: FastifyRequest): string {
  return redactedPath
    .replaceAll(/(?:lsh|lat|lrt)(?:_|%5f)[0-9a-f]{16,32}(?:_|%5f)[^/]*/gi, '…')
    .replaceAll(/eyJ[\w-]{1,400}\.[\w-]+\.[\w-]+/g, '…');
}

/** Limit of a path in a line, in characters: more than any name needs. */
const MAX_PATH = 4096;

declare module 'fastify' {
  interface FastifyRequest {
    /** Code of the error that the request was answered with; null without an error. */
    refusalCode: ErrorCode | null;
  }
  interface FastifyContextConfig {
    /** Successful requests are logged at debug, because there are thousands per second. */
    frequent?: boolean;
  }
}

/** Writes one line per request instead of Fastify's two, and counts the requests. */
export class RequestLog extends LogController {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #answered = new WeakSet<FastifyRequest>();

  constructor(log: Logger, metrics: Metrics) {
    super();
    this.#log = log;
    this.#metrics = metrics;
  }

  override incomingRequest(): void {}

  override routeNotFound(): void {}

  override requestCompleted(error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    if (this.#answered.has(request)) return;
    // For HTTP/2, node also reports a response as finished when the stream is lost before the answer.
    if (!reply.raw.headersSent) this.clientLeft(request, reply);
    else this.#finished(request, reply, reply.statusCode, error ?? undefined);
  }

  /** Logs a request whose answer is sent before its response ends. The response never ends if the client leaves. */
  answered(request: FastifyRequest, reply: FastifyReply): void {
    this.#answered.add(request);
    this.#finished(request, reply, reply.statusCode, undefined);
  }

  /** Logs a request whose client left before the answer, with status 499 as proxies do. */
  clientLeft(request: FastifyRequest, reply: FastifyReply): void {
    if (this.#answered.has(request)) return;
    this.#answered.add(request);
    this.#finished(request, reply, 499, undefined);
  }

  /** Logs the answer to a request that could not be parsed, which has neither id nor path. */
  unparsed(code: ErrorCode, status: number, address: string | undefined): void {
    this.#metrics.request('other', null, status);
    this.#log.info({ status, code, ...(address === undefined ? {} : { address }) }, 'request');
  }

  #finished(request: FastifyRequest, reply: FastifyReply, status: number, error: Error | undefined): void {
    const { url: route = null, config } = request.routeOptions;
    this.#metrics.request(request.method, route, status);
    // 500 is a bug (`error`). Other 5xx, such as a full disk, are conditions that the operator should know about (`warn`). 501 only means
    // that the client asked for something that the server does not support (`info`).
    const level =
      status === 500
        ? 'error'
        : status > 501
          ? 'warn'
          : config.frequent === true && status < 400 && request.refusalCode === null
            ? 'debug'
            : 'info';
    if (!this.#log.isLevelEnabled(level)) return;
    this.#log[level](
      {
        request_id: request.id,
        method: request.method,
        path: loggedPath(request).slice(0, MAX_PATH),
        status,
        ...(request.refusalCode === null ? {} : { code: request.refusalCode }),
        ms: Math.round(reply.elapsedTime * 10) / 10,
        address: request.ip,
        ...(request.principal ? { client: request.principal.id } : {}),
        ...(error ? { err: error } : {}),
      },
      'request',
    );
  }
}
