/** The log: one line of JSON a request, on standard error. No secrets: no query, no authorization, no body. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { ErrorCode } from '../../errors.ts';
import { pathOf } from '../request/target.ts';
import type { Metrics } from './metrics.ts';

const timestamp = (): string => `,"time":"${new Date().toISOString()}"`;

/** The line that stands for lines that could not be written. */
export function missingLines(count: number): string {
  return `{"level":"warn"${timestamp()},"dropped":${count},"msg":"log lines were dropped: the log could not be written"}\n`;
}

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
 * A path as it may be written down: what in it opens a shared file, is the right to go on with an upload, or is a token that somebody took for
 * an id, may not.
 */
export function shownPath(url: string | undefined): string {
  return pathOf(url)
    .replace(/^\/*(?:s|%73)\/+[^/]*/i, '/s/…')
    .replace(/^(\/+(?:files|api\/+uploads)\/+[0-9a-f]{0,32})[^/]*/i, '$1…')
    .replaceAll(/(?:lsh|lat|lrt)(?:_|%5f)[0-9a-f]{16,32}(?:_|%5f)[^/]*/gi, '…')
    .replaceAll(/eyJ[\w-]{1,400}\.[\w-]+\.[\w-]+/g, '…');
}

/** Longer than any name; what else a path may be is not worth a longer line. */
const MAX_PATH = 4096;

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the error that the request was answered with; null while there is none. */
    refusalCode: ErrorCode | null;
  }
  interface FastifyContextConfig {
    /** Requests that go well are logged at debug: there are thousands a second of them. */
    frequent?: boolean;
  }
}

/** Takes the place of Fastify's own two lines a request, and counts requests where it logs them. */
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
    // Node says that a response of HTTP/2 is finished, too, when the stream is lost before anything was answered.
    if (!reply.raw.headersSent) this.clientLeft(request, reply);
    else this.#finished(request, reply, reply.statusCode, error ?? undefined);
  }

  /** A request whose answer is out although the response does not end yet; it may never do, when its client leaves with the answer. */
  answered(request: FastifyRequest, reply: FastifyReply): void {
    this.#answered.add(request);
    this.#finished(request, reply, reply.statusCode, undefined);
  }

  /** A request whose client went away before the answer; 499 as proxies write it. */
  clientLeft(request: FastifyRequest, reply: FastifyReply): void {
    if (this.#answered.has(request)) return;
    this.#answered.add(request);
    this.#finished(request, reply, 499, undefined);
  }

  /** A request that could not be parsed and was answered all the same. It has neither id nor path. */
  unparsed(code: ErrorCode, status: number, address: string | undefined): void {
    this.#metrics.request('other', null, status);
    this.#log.info({ status, code, ...(address === undefined ? {} : { address }) }, 'request');
  }

  #finished(request: FastifyRequest, reply: FastifyReply, status: number, error: Error | undefined): void {
    const { url: route = null, config } = request.routeOptions;
    this.#metrics.request(request.method, route, status);
    // A full disk and a server that starts or is busy are for the operator to know, but no failure of the program. What clients ask for
    // and nobody offers (501) is neither.
    const level =
      status === 500 ? 'error' : status > 501 ? 'warn' : config.frequent === true && status < 400 ? 'debug' : 'info';
    if (!this.#log.isLevelEnabled(level)) return;
    this.#log[level](
      {
        request_id: request.id,
        method: request.method,
        path: shownPath(request.raw.url).slice(0, MAX_PATH),
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
