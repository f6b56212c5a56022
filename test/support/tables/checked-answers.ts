/** Checks every reply of a server in a test against the OpenAPI document. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { documentedPath, OpenApiChecker } from './openapi-checker.ts';

/** Longer bodies are not checked. */
const KEPT_BYTES = 2 * 1024 ** 2;

interface RecordedReply {
  /** Header fields that were passed to `writeHead`. */
  head: Record<string, unknown>;
  pieces: Buffer[];
  bytes: number;
}

/**
 * Must be called before the server listens.
 * @returns a function that throws if any reply differed from the document; called at the end of the test
 */
export function checkAnswers(server: FastifyInstance): () => void {
  const faults = new Set<string>();
  const bodies = new WeakMap<object, RecordedReply>();
  let truth: OpenApiChecker | null = null;
  server.addHook('onRequest', (_request, reply, next) => {
    bodies.set(reply.raw, keep(reply.raw));
    next();
  });
  server.addHook('onResponse', (request, reply, done) => {
    const { url } = request.routeOptions;
    const kept = bodies.get(reply.raw);
    // Replies that broke off are not checked.
    if (url !== undefined && reply.raw.writableFinished && reply.raw.headersSent) {
      truth ??= new OpenApiChecker(server.swagger());
      const whole = kept && kept.bytes <= KEPT_BYTES ? Buffer.concat(kept.pieces).toString('utf8') : null;
      const field = (name: string): unknown => kept?.head[name] ?? reply.raw.getHeader(name) ?? reply.getHeader(name);
      const type = String(field('content-type') ?? '');
      const coded = field('content-encoding') !== undefined;
      const body = /json/.test(type) && !coded ? whole : kept && kept.bytes === 0 ? '' : null;
      const fault = truth.fault(documentedPath(url), {
        method: request.method,
        status: reply.raw.statusCode,
        type,
        body,
      });
      if (fault) faults.add(fault);
      const unnamed = unnamedRefusal(request, reply.raw.statusCode, body);
      if (unnamed) faults.add(unnamed);
    }
    done();
  });
  return () => assert.deepEqual([...faults], [], 'replies differ from the OpenAPI document');
}

/** Checks that the log has the error code of every refusal, and that the reply has the same. */
function unnamedRefusal({ method, routeOptions, refusalCode }: FastifyRequest, status: number, body: string | null) {
  if (status < 400) return null;
  const what = `${method} ${routeOptions.url}: ${status}`;
  if (refusalCode === null) return `${what}: the log has no error code`;
  const { code }: { code?: unknown } = body?.startsWith('{') ? JSON.parse(body) : {};
  return code === undefined || code === refusalCode ? null : `${what} ${code}: the log has ${refusalCode}`;
}

/** Records the header fields and the body of a response while it is sent. */
function keep(response: ServerResponse): RecordedReply {
  const kept: RecordedReply = { head: {}, pieces: [], bytes: 0 };
  const take = (piece: unknown): void => {
    if (typeof piece !== 'string' && !(piece instanceof Uint8Array)) return;
    const bytes = Buffer.from(piece as string);
    kept.bytes += bytes.length;
    if (kept.bytes <= KEPT_BYTES) kept.pieces.push(bytes);
  };
  const write = response.write.bind(response) as (...all: unknown[]) => boolean;
  const end = response.end.bind(response) as (...all: unknown[]) => ServerResponse;
  const writeHead = response.writeHead.bind(response) as (...all: unknown[]) => ServerResponse;
  response.writeHead = ((...all: unknown[]) => {
    const fields = all.at(-1);
    if (typeof fields === 'object' && fields !== null) {
      for (const [name, value] of Object.entries(fields)) kept.head[name.toLowerCase()] = value;
    }
    return writeHead(...all);
  }) as ServerResponse['writeHead'];
  response.write = ((...all: unknown[]) => {
    take(all[0]);
    return write(...all);
  }) as ServerResponse['write'];
  response.end = ((...all: unknown[]) => {
    take(all[0]);
    return end(...all);
  }) as ServerResponse['end'];
  return kept;
}
