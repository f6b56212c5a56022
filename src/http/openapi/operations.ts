/** Corrects the operations that the framework generates: HEAD, optional bodies, rate limits, errors. */
import { RATE_FIELDS } from '../request/documented.ts';
import { asHeaders, fieldSchemas } from './fields.ts';
import { isObject, type Json } from './json.ts';
import type { Refusals, SharedResponses } from './refusals.ts';

/** Marks an operation with an optional body; it is removed from the document. */
export const OPTIONAL_BODY = 'x-optional-body';

/** These fields are defined once. Thousands of copies would make the document several times as long. */
const RATE_NAMES = ['RateLimit', 'RateLimit-Policy'] as const;
export const RATE_HEADERS = asHeaders(fieldSchemas(RATE_FIELDS, RATE_NAMES));
export const RATE_REFERENCES: Json = Object.fromEntries(
  RATE_NAMES.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
);

/** `getApiFilesStatusFilename` for GET /api/files/status/*. Generated clients use it as the name of a function. */
export function operationId(method: string, url: string): string {
  const words = url.replace(/\*$/, 'filename').match(/[A-Za-z0-9]+/g) ?? [];
  const tail = url.endsWith('/') && words.length > 0 ? 'Root' : '';
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('') + tail;
}

/**
 * Returns the operations of a path for the document.
 * @param refusals by operation id
 */
export function completed(path: unknown, refusals: ReadonlyMap<string, Refusals>, shared: SharedResponses): unknown {
  if (!isObject(path)) return path;
  const operations = Object.entries(path).map(([method, operation]) => {
    if (!isObject(operation)) return [method, operation];
    const { [OPTIONAL_BODY]: optional, ...rest } = operation;
    if (optional === true && isObject(rest.requestBody)) rest.requestBody = { ...rest.requestBody, required: false };
    // The framework has one route for GET and HEAD, but each needs its own id.
    const id = String(rest.operationId);
    if (method === 'head') rest.operationId = id.replace(/^(?:get|head)/, 'head');
    const own = refusals.get(id);
    return [method, refused(method === 'head' ? headless(rest) : rest, method, own, shared)];
  });
  return Object.fromEntries(operations);
}

/** Adds references to the errors of an operation, and the rate limit fields to its successful replies if it has limits. */
function refused(operation: Json, method: string, refusals: Refusals | undefined, shared: SharedResponses): Json {
  const successes = isObject(operation.responses) ? operation.responses : {};
  if (!refusals) return operation;
  const head = method === 'head';
  const codes = new Map([...refusals.codes].filter(([status]) => !(head && status === 416)));
  // 423: HEAD of tus answers 423 when there are too many requests.
  const limited = codes.has(429) || codes.has(423);
  const responses = {
    ...(limited ? withRates(successes) : successes),
    ...shared.refer({ ...refusals, codes }, !head),
  };
  return { ...operation, responses, 'x-error-codes': Object.fromEntries(codes) };
}

function withRates(responses: Json): Json {
  const entries = Object.entries(responses).map(([status, reply]) => {
    if (!isObject(reply)) return [status, reply];
    return [status, { ...reply, headers: { ...(isObject(reply.headers) ? reply.headers : {}), ...RATE_REFERENCES } }];
  });
  return Object.fromEntries(entries);
}

/** RFC 9110 §14.2 defines Range for GET only, and the answer to a HEAD has no content. */
function headless({ parameters, responses, ...head }: Json): Json {
  const kept = Array.isArray(parameters)
    ? parameters.filter((parameter) => !isObject(parameter) || !['Range', 'If-Range'].includes(String(parameter.name)))
    : [];
  const replies = Object.entries(isObject(responses) ? responses : {}).flatMap(([status, reply]) => {
    if (status === '206' || !isObject(reply)) return [];
    const { content: _content, ...rest } = reply;
    return [[status, rest]];
  });
  return { ...head, parameters: kept, responses: Object.fromEntries(replies) };
}
