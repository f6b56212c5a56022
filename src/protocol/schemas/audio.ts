/** Audio files on the wire. */
import Type, { type Static } from 'typebox';
import { Nullable, Text } from './parts.ts';

export const MAX_DESCRIPTION = 1000;

const Overwrite = Type.Optional(
  Type.Boolean({
    description: 'Replace the file of the same name; otherwise both are kept, and the new one gets another name.',
    default: false,
  }),
);

export const AudioListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: 'Files per page; all by default.' })),
  cursor: Type.Optional(
    Type.String({ maxLength: 128, description: 'Cursor from the Link field of the previous page.' }),
  ),
});
export type AudioListQuery = Static<typeof AudioListQuery>;

export const AudioUploadQuery = Type.Object({
  file_description: Type.Optional(
    Type.String({
      maxLength: MAX_DESCRIPTION,
      description: 'Description of the recording; may also be a field of the form.',
    }),
  ),
  overwrite: Overwrite,
});
export type AudioUploadQuery = Static<typeof AudioUploadQuery>;

export const WavUploadQuery = Type.Object({ overwrite: Overwrite });
export type WavUploadQuery = Static<typeof WavUploadQuery>;

export const AudioFile = Type.Object(
  {
    id: Text('Id of this version of the file.'),
    file_name: Text('Name under which the file is stored, as in /api/files.'),
    file_description: Nullable(Text('Description from the upload.')),
    file_size: Type.Integer({ minimum: 0, description: 'Size in bytes.' }),
    user_id: Text('Id of the owner.'),
    original_name: Text('Name that the sender gave.'),
    duration_seconds: Nullable(
      Type.Number({ minimum: 0, description: 'Duration; null if the file does not contain it.' }),
    ),
    sample_rate: Nullable(Type.Integer({ minimum: 0, description: 'Samples per second.' })),
    channels: Nullable(Type.Integer({ minimum: 0 })),
    codec: Nullable(Text('Codec by its name in ffprobe: pcm_s16le, mp3, aac, opus and others.')),
  },
  { title: 'AudioFile' },
);
export type AudioFile = Static<typeof AudioFile>;

export const AudioFiles = Type.Array(AudioFile);

export const WavStored = Type.Object(
  {
    status: Text('Always success.'),
    message: Text('Message for people.'),
    filename: Text(
      'Name in /api/files: the name that the sender gave, prefixed with the time and the client if that name exists.',
    ),
    local_path: Text('The same as filename.'),
    uploaded_by: Text('Id of the owner.'),
  },
  { title: 'WavStored' },
);
export type WavStored = Static<typeof WavStored>;

/** An error of /api/upload. */
export const BareError = Type.Object(
  {
    error: Text(
      'The error; authorization errors are token_expired, invalid_token, missing_token, insufficient_scope and forbidden.',
    ),
    message: Text('Message for people.'),
    description: Type.Optional(Text('The same, or what to do next; for authorization errors only.')),
  },
  { title: 'BareError' },
);
