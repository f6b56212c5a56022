/** Grants on the wire. */
import Type, { type Static } from 'typebox';
import { MAX_SECONDS } from '../bounds.ts';
import { Nullable, Text, Time, Words } from './parts.ts';

const Owner = Type.Optional(
  Text('Id of the client or person that owns the files; yourself by default. For administrators only.'),
);

export const NewGrant = Type.Object(
  {
    filename: Type.Optional(Text('Name of a complete file.')),
    prefix: Type.Optional(Text('Prefix of the names that may be read, including future files.')),
    grantee: Type.String({
      maxLength: 320,
      description:
        'Client or person of the tenant that may read: an id, the name of a client, or the e-mail address or account name of a person.',
    }),
    expires_in: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: MAX_SECONDS.grant,
          description: 'Seconds until it expires; by default it does not expire.',
        }),
      ),
    ),
  },
  { title: 'NewGrant', description: 'Either filename or prefix.' },
);
export type NewGrant = Static<typeof NewGrant>;

export const GrantQuery = Type.Object({ owner: Owner }, { title: 'GrantQuery' });
export type GrantQuery = Static<typeof GrantQuery>;

export const Grant = Type.Object(
  {
    grant_id: Text('Id of the grant.'),
    kind: Words(['file', 'prefix'], {
      description: 'file: one file; prefix: all files whose names start with a prefix.',
    }),
    name: Text('Name of the file, or the prefix.'),
    owner: Text('Id of the owner, for the parameter owner of requests of the grantee.'),
    owner_name: Nullable(Type.String({ description: 'Display name of the owner; null if it has none.' })),
    grantee: Text('Id of the client or person that may read.'),
    created_by: Nullable(
      Type.String({
        description: 'Id of the creator; null if another role created it and you may not see who.',
      }),
    ),
    created_at: Time('When it was created.'),
    expires_at: Nullable(Time('When it expires; null: never.')),
  },
  { title: 'Grant' },
);
export type Grant = Static<typeof Grant>;

export const GrantList = Type.Object(
  {
    given: Type.Array(Grant, { description: 'Grants of your files to others.' }),
    received: Type.Array(Grant, { description: 'Grants of files of others to you.' }),
  },
  { title: 'GrantList', description: 'Oldest first.' },
);
export type GrantList = Static<typeof GrantList>;
