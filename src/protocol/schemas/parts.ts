/** Building blocks of the schemas. */
import Type, { type Static, type TSchema, type TSchemaOptions } from 'typebox';
import { MAX_OFFSET } from '../chunk.ts';

export const Text = (description: string) => Type.String({ description });
export const Time = (description: string) =>
  Type.String({ format: 'date-time', description: `${description} ISO 8601, UTC.` });
const PLAIN_TIME = '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d$';
/** A time without a zone, as programs of an older server read it. */
export const PlainTime = (description: string) =>
  Type.String({
    pattern: PLAIN_TIME,
    examples: ['2026-04-26T15:30:45'],
    description: `${description} UTC, without a zone: 2026-04-26T15:30:45.`,
  });
export const Seconds = (description: string) => Type.Integer({ minimum: 0, description });

/** A string enumeration. The `type` makes the OpenAPI document easier to read. */
export const Words = <const Values extends readonly [string, ...string[]]>(
  values: Values,
  options: TSchemaOptions = {},
) => Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], ...options });

/** The query of routes that ignore all parameters, because clients may add their own. */
export const ForeignQuery = Type.Object({}, { additionalProperties: true });

/** A simple type or null, as a list of types: unlike `anyOf`, it needs no trial validation when a reply is serialized. */
export function Nullable<Schema extends TSchema & { type: string }>(schema: Schema) {
  return Type.Unsafe<Static<Schema> | null>({ ...schema, type: [schema.type, 'null'] });
}

/** A number of bytes or an offset. */
export const Bytes = (description: string) => Type.Integer({ minimum: 0, maximum: MAX_OFFSET, description });
export const Hex32 = (description: string) => Type.String({ pattern: '^[0-9a-f]{8}$', description });

/** Inclusive pairs. Unlike `prefixItems` and a list of `items`, this form has the same meaning in every draft of JSON Schema. */
export const Extents = (options: TSchemaOptions) =>
  Type.Unsafe<[number, number][]>({
    type: 'array',
    items: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 2, maxItems: 2 },
    ...options,
  });

/** The reply to a change without other results. */
export const Message = Type.Object({ message: Text('What was done.') }, { title: 'Message' });
export type Message = Static<typeof Message>;
