/** Validates stored documents of audio files, field by field. */
import type { AudioDocument, Sound } from '../audio.ts';
import { documentFields, type Fields } from './fields.ts';

/** Validates the document of an audio file. Throws an Error that names a missing or invalid field. */
export function checkAudio(value: unknown, id: string): AudioDocument {
  const fields = documentFields(value, 'id', id);
  return Object.freeze({
    id,
    description: fields.textOrNull('description'),
    originalName: fields.text('originalName'),
    sound: fields.isNull('sound') ? null : soundOf(fields.fields('sound')),
  });
}

function soundOf(fields: Fields): Sound {
  return {
    mediaType: fields.text('mediaType'),
    durationSeconds: fields.isNull('durationSeconds') ? null : fields.amount('durationSeconds'),
    sampleRate: fields.countOrNull('sampleRate'),
    channels: fields.countOrNull('channels'),
    codec: fields.textOrNull('codec'),
  };
}
