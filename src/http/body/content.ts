/**
 * What a request says of its content, judged before any of the content is read. This is the one place for it, for every route:
 *
 *     Content-Encoding other than identity    415, RFC 9110 §8.4: nothing here decodes, so encoded bytes would be stored as the file
 *     Content-Range                           400, RFC 9110 §14.5: a part of a file must not be stored as the whole
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
 * Writes `Content-Type` in one form, before anybody looks at it: routing, parsers and doors then compare media types alike, however a client
 * writes them (RFC 9110 §5.6.6). What is no media type stays as it is, for the doors to refuse.
 */
export function canonicalContentType({ headers }: Pick<IncomingMessage, 'headers'>): void {
  const type = headers['content-type'];
  if (type === undefined || type === 'application/octet-stream') return;
  headers['content-type'] = canonicalMediaType(type) ?? type;
}

/**
 * The refusal of encoded content, also for the headers of a part of a form; null when there is nothing to refuse.
 * @param coding the value of `Content-Encoding`: a list of codings, of which `identity` means none
 */
export function checkContentCoding(coding: string | undefined): LadingError | null {
  const coded = coding?.split(',').some((word) => !['', 'identity'].includes(word.trim().toLowerCase()));
  return coded
    ? new LadingError(
        'unsupported_media_type',
        'Send the content as it is, without Content-Encoding: nothing is decoded.',
        { header: 'Content-Encoding' },
      )
    : null;
}

/** Call it before any route is registered. The check comes after the sign-in and before the body is read. */
export function checksContent(app: FastifyInstance): void {
  app.addHook('preParsing', (request, _reply, _payload, next) => next(refusalOf(request)));
}

function refusalOf({ method, headers, routeOptions, is404 }: FastifyRequest): LadingError | null {
  if (SAFE_METHODS.has(method) || is404) return null;
  const coded = checkContentCoding(headers['content-encoding']);
  if (coded || headers['content-range'] === undefined || routeOptions.config.readsContentRange === true) return coded;
  return new LadingError(
    'invalid_request',
    'Content-Range is not accepted here. Send the whole content, or a part of it as a chunk to /api/files/upload.',
  );
}
