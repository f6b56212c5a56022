/** Share links on the wire. */
import Type, { type Static } from 'typebox';
import { MAX_SECONDS } from '../bounds.ts';
import { Nullable, Text, Time } from './parts.ts';

/** How long a link is good if nobody says it: a week. */
export const SHARE_SECONDS = 7 * 24 * 3600;

const Owner = Type.Optional(
  Text('Whose file: the id of a client or a person. Administrators only; oneself by default.'),
);

export const NewShare = Type.Object(
  {
    expires_in: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_SECONDS.share,
        default: SHARE_SECONDS,
        description: 'Seconds until the link ends: a week if it is not said, a year at most.',
      }),
    ),
    max_downloads: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: 1_000_000,
          description:
            'How many times the whole file may be downloaded, at once or in parts; any number of times by default.',
        }),
      ),
    ),
    password: Type.Optional(
      Nullable(
        Type.String({
          maxLength: 1024,
          description: 'Required of everybody who uses the link, by HTTP Basic: 8 to 128 characters.',
        }),
      ),
    ),
  },
  { title: 'NewShare' },
);
export type NewShare = Static<typeof NewShare>;

export const ShareQuery = Type.Object({ owner: Owner }, { title: 'ShareQuery' });
export type ShareQuery = Static<typeof ShareQuery>;

export const ShareListQuery = Type.Object({
  owner: Owner,
  filename: Type.Optional(Text('Only links to this file.')),
});
export type ShareListQuery = Static<typeof ShareListQuery>;

const known = {
  share_id: Text('To revoke it by.'),
  filename: Text('Name of the file.'),
  owner: Text('Whose file it is.'),
  created_by: Nullable(
    Type.String({
      description: 'Who made it; null: somebody else whose role reads the file, and who is not named to you.',
    }),
  ),
  created_at: Time('When it was made.'),
  expires_at: Time('When it ends.'),
  password: Type.Boolean({ description: 'True when it wants a password.' }),
  max_downloads: Nullable(Type.Integer({ minimum: 1, description: 'How often at most; null: any number.' })),
  downloads: Type.Integer({ minimum: 0, description: 'How often the file was sent to its end.' }),
  last_used: Nullable(Time('When something was last asked for with it.')),
};

export const Share = Type.Object(known, { title: 'Share', description: 'A share link, without what opens it.' });
export type Share = Static<typeof Share>;

export const ShareCreated = Type.Object(
  { ...known, token: Text('What opens the file; shown this once.'), url: Text('Where the file is to be had with it.') },
  { title: 'ShareCreated' },
);
export type ShareCreated = Static<typeof ShareCreated>;

export const ShareList = Type.Object({ shares: Type.Array(Share) }, { title: 'ShareList' });
export type ShareList = Static<typeof ShareList>;
