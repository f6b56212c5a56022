/** Header fields in the two forms that the document needs: as schemas by name, and as OpenAPI headers. */
import { type Field, REPLY_FIELDS, type ReplyField } from '../request/documented.ts';
import type { Json } from './json.ts';

/** Fields of a header section as schemas by name. */
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

/** Fields of a reply; every reply has `X-Request-Id`. */
export function replyFields(names: readonly ReplyField[]): Record<string, Json> {
  return fieldSchemas(REPLY_FIELDS, [...new Set<ReplyField>([...names, 'X-Request-Id'])].sort());
}

/** Fields as OpenAPI headers, where the framework does not convert them. */
export function asHeaders(schemas: Record<string, Json>): Json {
  const fields = Object.entries(schemas).map(([name, { description, ...schema }]) => [name, { description, schema }]);
  return Object.fromEntries(fields);
}
