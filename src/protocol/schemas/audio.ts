/** What is said of audio files on the wire. */
import Type, { type Static } from 'typebox';
import { Nullable, Text } from './parts.ts';

export const MAX_DESCRIPTION = 1000;

const Overwrite = Type.Optional(
  Type.Boolean({
    description: 'Replace the file of the same name; otherwise both are kept, the new one under another name.',
    default: false,
  }),
);

export const AudioListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: 'Files of a page; without it all.' })),
  cursor: Type.Optional(Type.String({ maxLength: 128, description: 'From the Link field of the page before.' })),
});
export type AudioListQuery = Static<typeof AudioListQuery>;

export const AudioUploadQuery = Type.Object({
  file_description: Type.Optional(
    Type.String({
      maxLength: MAX_DESCRIPTION,
      description: 'What is to be heard; also taken as a field of the form.',
    }),
  ),
  overwrite: Overwrite,
});
export type AudioUploadQuery = Static<typeof AudioUploadQuery>;

export const WavUploadQuery = Type.Object({ overwrite: Overwrite });
export type WavUploadQuery = Static<typeof WavUploadQuery>;

export const AudioFile = Type.Object(
  {
    id: Text('Of this version of the file.'),
    file_name: Text('Under which it is stored: the name in /api/files.'),
    file_description: Nullable(Text('What was said of it when it was uploaded.')),
    file_size: Type.Integer({ minimum: 0, description: 'Bytes.' }),
    user_id: Text('Whose it is.'),
    original_name: Text('What the sender called it.'),
    duration_seconds: Nullable(Type.Number({ minimum: 0, description: 'Null where the file does not tell.' })),
    sample_rate: Nullable(Type.Integer({ minimum: 0, description: 'Samples per second.' })),
    channels: Nullable(Type.Integer({ minimum: 0 })),
    codec: Nullable(Text('As ffprobe names it: pcm_s16le, mp3, aac, opus and others.')),
  },
  { title: 'AudioFile' },
);
export type AudioFile = Static<typeof AudioFile>;

export const AudioFiles = Type.Array(AudioFile);

export const WavStored = Type.Object(
  {
    status: Text('success'),
    message: Text('For people.'),
    filename: Text(
      'The name that it has in /api/files: what the sender called it, with the time and the client in front where that name is taken.',
    ),
    local_path: Text('The same.'),
    uploaded_by: Text('Whose it is.'),
  },
  { title: 'WavStored' },
);
export type WavStored = Static<typeof WavStored>;

/** How /api/upload refuses. */
export const BareError = Type.Object(
  {
    error: Text(
      'What is wrong; who may not do it gets token_expired, invalid_token, missing_token, insufficient_scope or forbidden.',
    ),
    message: Text('What is wrong, in words.'),
    description: Type.Optional(Text('The same, or what to do next; of those alone.')),
  },
  { title: 'BareError' },
);
