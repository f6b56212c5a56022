/** Grants on the wire. */
import Type, { type Static } from 'typebox';
import { MAX_SECONDS } from '../bounds.ts';
import { Nullable, Text, Time, Words } from './parts.ts';

const Owner = Type.Optional(
  Text('Whose files: the id of a client or a person. Administrators only; oneself by default.'),
);

export const NewGrant = Type.Object(
  {
    filename: Type.Optional(Text('Name of a complete file; or:')),
    prefix: Type.Optional(Text('what the names of all files begin with that may be read, those to come included.')),
    grantee: Type.String({
      maxLength: 128,
      description: 'Who may read: the id of a client or a person of the tenant.',
    }),
    expires_in: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: MAX_SECONDS.grant,
          description: 'Seconds until it ends; without it, when it is revoked.',
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
    grant_id: Text('To revoke it by.'),
    kind: Words(['file', 'prefix'], { description: 'What is granted: one file, or all that begin with a prefix.' }),
    name: Text('Name of the file, or the prefix.'),
    owner: Text('Whose files: what the grantee sends as the parameter owner.'),
    owner_name: Nullable(Type.String({ description: 'What the owner is called; null: the owner has no name.' })),
    grantee: Text('Who may read.'),
    created_by: Nullable(
      Type.String({
        description: 'Who made it; null: somebody else whose role reads the file, and who is not named to you.',
      }),
    ),
    created_at: Time('When it was made.'),
    expires_at: Nullable(Time('When it ends; null: when it is revoked.')),
  },
  { title: 'Grant' },
);
export type Grant = Static<typeof Grant>;

export const GrantList = Type.Object(
  {
    given: Type.Array(Grant, { description: 'Of one’s files, to others.' }),
    received: Type.Array(Grant, { description: 'Of others’ files, to oneself.' }),
  },
  { title: 'GrantList', description: 'The oldest first.' },
);
export type GrantList = Static<typeof GrantList>;
