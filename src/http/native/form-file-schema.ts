/** Parts of the schemas of routes that take a whole file. */
import Type, { type TProperties } from 'typebox';
import { SIGNED_IN } from '../request/documented.ts';

/** Errors of routes that take a whole file as a part of a form. */
export const FORM_FILE_ERRORS = [
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

/** Bytes as the body of a request or a reply. */
export const Binary = Type.Unsafe<unknown>({ type: 'string', format: 'binary' });

/** A body that is the bytes of a file. Any media type is accepted, but client generators do not support `*`. */
export const ANY_BYTES = {
  'application/octet-stream': {
    schema: Type.Unsafe<unknown>({
      ...Binary,
      description: 'Bytes of the file. Every other media type is accepted, too.',
    }),
  },
};

/** The body of an upload form, for the OpenAPI document only: no schema validates a stream. */
export function formOf(parts: TProperties) {
  return { content: { 'multipart/form-data': { schema: Type.Object(parts) } } };
}
