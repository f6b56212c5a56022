/**
 * Errors in the OpenAPI document. Each status is defined once under `components.responses`, and operations refer to it, so that a
 * generated client has one class for all problems. The codes of an operation are in its `x-error-codes`, by status.
 */
import { STATUS_CODES } from 'node:http';
import type { TSchema } from 'typebox';
import { CATALOGUE, type ErrorCode, LadingError } from '../../errors.ts';
import { Problem } from '../../protocol/schemas/problem.ts';
import { PROBLEM_TYPE, problemReply, type Refusal } from '../problems/problems.ts';
import type { ReplyField } from '../request/documented.ts';
import { asHeaders, replyFields } from './fields.ts';
import type { Json } from './json.ts';

/** Errors of all operations. Most occur before the request is routed. */
const EVERYWHERE: readonly ErrorCode[] = [
  'invalid_request',
  'request_timeout',
  'headers_too_large',
  'internal',
  'file_damaged',
  'not_implemented',
];

/** The header field of an error, by its code. */
const REFUSAL_FIELDS: { readonly [Code in ErrorCode]?: ReplyField } = {
  unauthorized: 'WWW-Authenticate',
  insufficient_scope: 'WWW-Authenticate',
  method_not_allowed: 'Allow',
  range_not_satisfiable: 'Content-Range',
  rate_limited: 'Retry-After',
  overloaded: 'Retry-After',
  shutting_down: 'Retry-After',
};

/** The errors of an operation. */
export interface Refusals {
  /** Codes by status, sorted. */
  codes: ReadonlyMap<number, readonly ErrorCode[]>;
  /** Schema of errors that are not problem documents. */
  form: TSchema | undefined;
  /** Status of an error that browsers get as an HTML page. */
  pageStatus?: number | undefined;
}

/**
 * Groups the errors of an operation by status.
 * @param errors errors of the operation, besides those of all operations
 * @param write writes an error, which may change the status of a code
 */
export function refusalsOf(errors: readonly ErrorCode[], write: Refusal, form: TSchema | undefined): Refusals {
  const codes = new Map<number, ErrorCode[]>();
  for (const code of [...new Set([...EVERYWHERE, ...errors])].sort()) {
    const { status } = write(new LadingError(code, ''), null, false);
    // Errors that occur before routing have the common form.
    const statuses = new Set(EVERYWHERE.includes(code) ? [status, CATALOGUE[code].status] : [status]);
    // An unsupported content coding has the common form, even if the route changes this status for media types.
    if (code === 'unsupported_media_type') {
      statuses.add(write(new LadingError(code, '', { header: 'content-encoding' }), null, false).status);
    }
    for (const one of statuses) codes.set(one, [...(codes.get(one) ?? []), code]);
  }
  return { codes, form };
}

const PAGE = { 'text/html': { schema: { type: 'string' } } };

/** A response that operations share, with all its codes. */
interface Shared {
  status: number;
  codes: Set<ErrorCode>;
  form: TSchema | undefined;
  content: boolean;
  /** True if browsers get an HTML page. */
  page: boolean;
}

/** Collects the shared responses that operations refer to. */
export class SharedResponses {
  readonly #all = new Map<string, Shared>();
  readonly #rates: Json;

  /** @param rates the header fields of rate limits, which any error of a limited operation may have */
  constructor(rates: Json) {
    this.#rates = rates;
  }

  /** Returns references to the responses by status. @param content false for HEAD, whose replies have no content */
  refer({ codes, form, pageStatus }: Refusals, content = true): Json {
    const references = [...codes].map(([status, some]) => {
      const page = status === pageStatus;
      const name = `${nameOf(status)}${titleOf(form)}${page ? 'OrPage' : ''}${content ? '' : 'ToHead'}`;
      const shared = this.#all.get(name) ?? { status, codes: new Set(), form, content, page };
      for (const code of some) shared.codes.add(code);
      this.#all.set(name, shared);
      return [status, { $ref: `#/components/responses/${name}` }];
    });
    return Object.fromEntries(references);
  }

  /** All responses by name, for `components.responses`. */
  toJSON(): Json {
    const sorted = [...this.#all].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([name, shared]) => [name, this.#response(shared)]));
  }

  #response({ status, codes, form, content, page }: Shared): Json {
    const sorted = [...codes].sort();
    const fields = asHeaders(replyFields(sorted.flatMap((code) => REFUSAL_FIELDS[code] ?? [])));
    // Errors in the header come before the rate limits are checked.
    const rates = status === CATALOGUE.headers_too_large.status ? {} : this.#rates;
    // Node's parser refuses these requests before the route is known, so that they always have the common form.
    const media =
      form && status !== CATALOGUE.headers_too_large.status
        ? { 'application/json': { schema: form } }
        : { [PROBLEM_TYPE]: { schema: Problem, example: problemExample(sorted[0] ?? 'internal', status) } };
    return {
      description: `${sorted.map((code) => CATALOGUE[code].title).join('; ')}.`,
      headers: { ...fields, ...rates },
      ...(content ? { content: page ? { ...media, ...PAGE } : media } : {}),
    };
  }
}

function problemExample(code: ErrorCode, status: number): Json {
  const { body } = problemReply(new LadingError(code, 'What is wrong and what to do.'), 'k3Xq-1f', true);
  return { ...(JSON.parse(body.toString('utf8')) as Json), status };
}

/** `NotFound` for 404; `Status460` for a status without a name. */
function nameOf(status: number): string {
  const words = STATUS_CODES[status];
  return words === undefined ? `Status${status}` : words.replaceAll(/[^A-Za-z]/g, '');
}

function titleOf(form: TSchema | undefined): string {
  return form && 'title' in form && typeof form.title === 'string' ? form.title : '';
}
