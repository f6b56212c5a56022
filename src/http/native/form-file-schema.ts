/** What routes that take a whole file as one part of a form say of themselves. */
import Type, { type TProperties } from 'typebox';
import { SIGNED_IN } from '../request/documented.ts';

export const ONE_SHOT_ERRORS = [
  ...SIGNED_IN,
  'already_exists',
  'file_too_large',
  'invalid_name',
  'length_mismatch',
  // Deleted while it was on its way.
  'not_found',
  'precondition_failed',
  'quota_exceeded',
  'unsupported_media_type',
  'validation_failed',
] as const;

export const Binary = Type.Unsafe<unknown>({ type: 'string', format: 'binary' });

/** A body that is the bytes of a file. Any media type is taken; programs that make clients from the document know no `*` in its place. */
export const ANY_BYTES = {
  'application/octet-stream': {
    schema: Type.Unsafe<unknown>({ ...Binary, description: 'The bytes. Any other media type is taken, too.' }),
  },
};

/** For the OpenAPI document: the body is a stream, which no schema looks into. */
export function formOf(parts: TProperties) {
  return { content: { 'multipart/form-data': { schema: Type.Object(parts) } } };
}
