/** Schema of routes that take a whole file as one part of a form. */
import Type, { type TProperties } from 'typebox';
import { SIGNED_IN } from '../request/documented.ts';

export const ONE_SHOT_ERRORS = [
  ...SIGNED_IN,
  'already_exists',
  'file_too_large',
  'invalid_name',
  'length_mismatch',
  // The upload was deleted during the request.
  'not_found',
  'precondition_failed',
  'quota_exceeded',
  'unsupported_media_type',
  'validation_failed',
] as const;

export const Binary = Type.Unsafe<unknown>({ type: 'string', format: 'binary' });

/** A body that is the bytes of a file. Any media type is accepted, but client generators do not support `*`. */
export const ANY_BYTES = {
  'application/octet-stream': {
    schema: Type.Unsafe<unknown>({
      ...Binary,
      description: 'Bytes of the file. Any other media type is accepted, too.',
    }),
  },
};

/** For the OpenAPI document only: the body is a stream, which no schema validates. */
export function formOf(parts: TProperties) {
  return { content: { 'multipart/form-data': { schema: Type.Object(parts) } } };
}
