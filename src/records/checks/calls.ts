/** Validates stored documents of calls, field by field. */
import type { CallDocument } from '../calls.ts';
import { documentFields, type Fields } from './fields.ts';

/** Validates the document of a call. Throws an Error that names a missing or invalid field. */
export function checkCall(value: unknown, id: string): CallDocument {
  const fields = documentFields(value, 'id', id);
  return Object.freeze({
    id,
    caller: fields.text('caller'),
    phone: fields.text('phone'),
    sealed: fields.textOrNull('sealed'),
    message: fields.textOrNull('message'),
    state: fields.oneOf('state', ['pending', 'verified', 'failed', 'replaced', 'expired']),
    tries: fields.count('tries'),
    spokenAt: fields.counts('spokenAt'),
    speech: fields.oneOf('speech', ['queued', 'calling', 'spoken', 'failed']),
    createdAt: fields.time('createdAt'),
    expiresAt: fields.time('expiresAt'),
    proof: fields.isNull('proof') ? null : proofOf(fields.fields('proof')),
  });
}

function proofOf(fields: Fields): CallDocument['proof'] {
  return { holder: fields.text('holder'), credential: fields.text('credential'), until: fields.time('until') };
}
