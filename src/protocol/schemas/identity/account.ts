/**
 * Ops and client accounts, and sessions, on the wire. The people of these accounts sign in with a user name. Client accounts download the
 * files of ops accounts.
 */
import Type, { type Static } from 'typebox';
import { Nullable, Text, Time, Words } from '../parts.ts';

const Username = Type.String({
  maxLength: 256,
  description:
    'The name to sign in with: 1 to 64 letters and digits, which may contain spaces and . _ @ + - in between.',
});
const Password = (description: string) => Type.String({ maxLength: 1024, description });

export const SignUp = Type.Object(
  {
    username: Username,
    password: Password('The password: 8 to 128 characters, not common, not easy to guess.'),
    name: Type.Optional(Nullable(Type.String({ maxLength: 400, description: 'Display name.' }))),
    email: Type.Optional(
      Nullable(
        Type.String({ maxLength: 320, description: 'E-mail address for contact; it cannot be used to sign in.' }),
      ),
    ),
  },
  { title: 'SignUp' },
);
export type SignUp = Static<typeof SignUp>;

export const NamedLogin = Type.Object(
  {
    username: Username,
    password: Password('The password.'),
    tenant: Type.Optional(
      Type.String({
        maxLength: 63,
        description: 'Id of the tenant of the account; the default tenant if absent.',
      }),
    ),
    // Older programs send one form to both routes.
    name: Type.Optional(Nullable(Type.String({ maxLength: 400, description: 'As in sign-up; ignored here.' }))),
    email: Type.Optional(Nullable(Type.String({ maxLength: 320, description: 'As in sign-up; ignored here.' }))),
  },
  { title: 'NamedLogin' },
);
export type NamedLogin = Static<typeof NamedLogin>;

export const AccountKind = Words(['ops', 'client'], {
  description: 'ops: uploads files that all client accounts of the tenant may download; client: downloads them.',
});

export const Account = Type.Object(
  {
    id: Text("The account's id, which owns its files."),
    kind: AccountKind,
    username: Text('The name to sign in with.'),
    name: Nullable(Text('Display name.')),
    email: Nullable(Text('E-mail address for contact.')),
    created_at: Time('When it was created.'),
  },
  { title: 'Account' },
);
export type Account = Static<typeof Account>;

export const OpsUploadQuery = Type.Object({
  overwrite: Type.Optional(
    Type.Boolean({ description: 'Replace the file of the same name; otherwise the reply is 409.' }),
  ),
});
export type OpsUploadQuery = Static<typeof OpsUploadQuery>;

export const OpsStored = Type.Object(
  {
    message: Text('Message for people.'),
    id: Text('Id of this version of the file.'),
    file_name: Text('Name under which it is stored and downloaded.'),
    file_size: Type.Integer({ minimum: 0, description: 'Size in bytes.' }),
    uploaded_by: Text('The name of the ops account.'),
  },
  { title: 'OpsStored' },
);
export type OpsStored = Static<typeof OpsStored>;

export const OpsFilesQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Names per page; all by default.' })),
  cursor: Type.Optional(
    Type.String({ maxLength: 2048, description: 'Cursor from the Link field of the previous page.' }),
  ),
});
export type OpsFilesQuery = Static<typeof OpsFilesQuery>;

export const OpsFiles = Type.Array(Type.String(), { description: 'Names of complete files, in order.' });

// ---------------------------------------------------------------- sessions

export const Session = Type.Object(
  {
    id: Text('Id of the session, as in the claim sid of its tokens.'),
    created_at: Time('When it began.'),
    renewed_at: Nullable(Time('When its tokens were last renewed.')),
    expires_at: Time('When it expires if it is not renewed.'),
    user_agent: Nullable(Text('User-Agent of the program that signed in.')),
    current: Type.Boolean({ description: 'True for the session of this request.' }),
  },
  { title: 'Session' },
);
export type Session = Static<typeof Session>;

export const SessionList = Type.Object(
  { sessions: Type.Array(Session) },
  { title: 'SessionList', description: 'Least recently used first.' },
);
export type SessionList = Static<typeof SessionList>;
