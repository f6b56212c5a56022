/**
 * Checks the fields that describe the content of a request, for every route, before the content is read:
 *
 *     Content-Encoding other than identity    415, RFC 9110 §8.4: the server does not decode, so it would store the encoded bytes
 *     Content-Range                           400, RFC 9110 §14.5: a part of a file must not be stored as the whole file
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { canonicalMediaType } from '../../protocol/http/media-types.ts';
import { SAFE_METHODS } from '../request/target.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route reads `Content-Range` itself; all others refuse it. */
    readsContentRange?: boolean;
  }
}

/**
 * Replaces `Content-Type` with its canonical form, so that routing, parsers and routes can compare media types, however a client writes
 * them (RFC 9110 §5.6.6). Leaves an invalid media type unchanged; the routes refuse it.
 */
export function canonicalContentType({ headers }: Pick<IncomingMessage, 'headers'>): void {
  const type = headers['content-type'];
  if (type === undefined || type === 'application/octet-stream') return;
  headers['content-type'] = canonicalMediaType(type) ?? type;
}

/**
 * The error for encoded content, in a request or in a body part of a form; null if the content is not encoded.
 * @param coding the value of `Content-Encoding`: a list of codings, of which `identity` means none
 */
export function checkContentCoding(coding: string | undefined): LadingError | null {
  const coded = coding?.split(',').some((word) => !['', 'identity'].includes(word.trim().toLowerCase()));
  return coded
    ? new LadingError(
        'unsupported_media_type',
        'The server does not decode content. Send it without Content-Encoding.',
        { header: 'Content-Encoding' },
      )
    : null;
}

/** Checks every request after the sign-in and before its body is read. Call it before any route is registered. */
export function checksContent(app: FastifyInstance): void {
  app.addHook('preParsing', (request, _reply, _payload, next) => next(refusalOf(request)));
}

function refusalOf({ method, headers, routeOptions, is404 }: FastifyRequest): LadingError | null {
  if (SAFE_METHODS.has(method) || is404) return null;
  const coded = checkContentCoding(headers['content-encoding']);
  if (coded || headers['content-range'] === undefined || routeOptions.config.readsContentRange === true) return coded;
  return new LadingError(
    'invalid_request',
    'This route does not accept Content-Range. Send the whole content, or send parts as chunks to /api/files/upload.',
  );
}
