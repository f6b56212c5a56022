/** Converts header fields to the two forms of the document: schemas by name, and OpenAPI headers. */
import { type Field, REPLY_FIELDS, type ReplyField } from '../request/documented.ts';
import type { Json } from './json.ts';

/** The named fields as schemas by name. */
export function fieldSchemas<Name extends string>(
  all: Record<Name, Field>,
  names: readonly Name[],
): Record<string, Json> {
  return Object.fromEntries(
    names.map((name) => {
      const { example, ...rest } = all[name];
      return [name, { type: 'string', ...rest, examples: [example] }];
    }),
  );
}

/** The fields of a reply, with `X-Request-Id`, which every reply has. */
export function replyFields(names: readonly ReplyField[]): Record<string, Json> {
  return fieldSchemas(REPLY_FIELDS, [...new Set<ReplyField>([...names, 'X-Request-Id'])].sort());
}

/** The fields as OpenAPI headers, for places where the framework does not convert them. */
export function asHeaders(schemas: Record<string, Json>): Json {
  const fields = Object.entries(schemas).map(([name, { description, ...schema }]) => [name, { description, schema }]);
  return Object.fromEntries(fields);
}
