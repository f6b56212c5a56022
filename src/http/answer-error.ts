/** Answers requests whose handling failed. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerDeps } from './deps.ts';
import { auditRefusal } from './observe/audit.ts';
import type { RequestLog } from './observe/log.ts';
import { refuse } from './problems/early-refusal.ts';
import { asLadingError, internalError, problemReply, withError } from './problems/problems.ts';

/** True when the connection or the HTTP/2 stream is closed, so that no client will read an answer. A closed stream has no socket. */
function isDisconnected(message: IncomingMessage): boolean {
  return message.aborted || message.socket?.destroyed === true;
}

/** Sends an error as a problem document, or in the form of the route; logs and audits it. Sends nothing if the client has left. */
export function answerError(
  deps: Pick<ServerDeps, 'audit' | 'log'>,
  log: RequestLog,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (isDisconnected(request.raw)) {
    reply.hijack();
    log.clientLeft(request, reply);
    return;
  }
  const known = asLadingError(error);
  if (!known || known.code === 'internal') {
    deps.log.error({ request_id: request.id, err: error }, 'unexpected error');
  }
  const failure = known ?? internalError(error);
  const repeatsDetail = request.pathRules?.repeatsDetail === true && failure.members.error === undefined;
  const problem = repeatsDetail ? withError(failure) : failure;
  request.refusalCode = problem.code;
  auditRefusal(deps.audit, request, problem);
  if (problem.code === 'shutting_down' && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
  const write = request.routeOptions.config?.refusal ?? problemReply;
  const isDraining = refuse(
    request,
    reply,
    write(problem, request.id, /^bearer\b/i.test(request.headers.authorization ?? '')),
  );
  if (isDraining) log.answered(request, reply);
}
