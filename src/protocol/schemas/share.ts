/** Share links on the wire. */
import Type, { type Static } from 'typebox';
import { MAX_SECONDS } from '../bounds.ts';
import { Nullable, Text, Time } from './parts.ts';

/** Default lifetime of a link in seconds: a week. */
export const SHARE_SECONDS = 7 * 24 * 3600;

const Owner = Type.Optional(
  Text('Id of the client or person that owns the file; yourself by default. For administrators only.'),
);

export const NewShare = Type.Object(
  {
    expires_in: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_SECONDS.share,
        default: SHARE_SECONDS,
        description: 'Seconds until the link expires: a week by default, a year at most.',
      }),
    ),
    max_downloads: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: 1_000_000,
          description:
            'How many times the whole file may be downloaded, in one or several requests; unlimited by default.',
        }),
      ),
    ),
    password: Type.Optional(
      Nullable(
        Type.String({
          maxLength: 1024,
          description: 'Password for the link, sent with HTTP Basic: 8 to 128 characters.',
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
  share_id: Text('Id of the link.'),
  filename: Text('Name of the file.'),
  owner: Text('Id of the owner of the file.'),
  created_by: Nullable(
    Type.String({
      description: 'Id of the creator; null if another role created it and you may not see who.',
    }),
  ),
  created_at: Time('When it was created.'),
  expires_at: Time('When it expires.'),
  password: Type.Boolean({ description: 'True when it requires a password.' }),
  max_downloads: Nullable(Type.Integer({ minimum: 1, description: 'Maximum number of downloads; null: unlimited.' })),
  downloads: Type.Integer({ minimum: 0, description: 'How many times the whole file was sent.' }),
  last_used: Nullable(Time('When the link was last used.')),
};

export const Share = Type.Object(known, { title: 'Share', description: 'A share link without its token.' });
export type Share = Static<typeof Share>;

export const ShareCreated = Type.Object(
  { ...known, token: Text('Token of the link, shown only once.'), url: Text('URL of the link.') },
  { title: 'ShareCreated' },
);
export type ShareCreated = Static<typeof ShareCreated>;

export const ShareList = Type.Object({ shares: Type.Array(Share) }, { title: 'ShareList' });
export type ShareList = Static<typeof ShareList>;
