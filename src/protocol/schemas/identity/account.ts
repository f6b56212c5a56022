/** Ops and client accounts on the wire: people who sign in by a name, the files of the ones, fetched by the others. Sessions too. */
import Type, { type Static } from 'typebox';
import { Nullable, Text, Time, Words } from '../parts.ts';

const Username = Type.String({
  maxLength: 256,
  description: 'The name to sign in with: 1 to 64 letters and digits, with spaces and . _ @ + - between them.',
});
const Password = (description: string) => Type.String({ maxLength: 1024, description });

export const SignUp = Type.Object(
  {
    username: Username,
    password: Password('The password: 8 to 128 characters, not common, not easy to guess.'),
    name: Type.Optional(Nullable(Type.String({ maxLength: 400, description: 'What to call the person.' }))),
    email: Type.Optional(
      Nullable(Type.String({ maxLength: 320, description: 'Where to write to; nobody signs in with it.' })),
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
        description: 'Id of the tenant that the account is in; the default one without it.',
      }),
    ),
    // Older programs send one form to both doors.
    name: Type.Optional(Nullable(Type.String({ maxLength: 400, description: 'As in sign-up; ignored here.' }))),
    email: Type.Optional(Nullable(Type.String({ maxLength: 320, description: 'As in sign-up; ignored here.' }))),
  },
  { title: 'NamedLogin' },
);
export type NamedLogin = Static<typeof NamedLogin>;

export const AccountKind = Words(['ops', 'client'], {
  description: 'ops: its complete files are there for all client accounts of the tenant; client: fetches them.',
});

export const Account = Type.Object(
  {
    id: Text("The account's id, which owns its files."),
    kind: AccountKind,
    username: Text('The name to sign in with.'),
    name: Nullable(Text('What to call the person.')),
    email: Nullable(Text('Where to write to.')),
    created_at: Time('When it was made.'),
  },
  { title: 'Account' },
);
export type Account = Static<typeof Account>;

export const OpsUploadQuery = Type.Object({
  overwrite: Type.Optional(Type.Boolean({ description: 'Replace the file of the same name, which is 409 otherwise.' })),
});
export type OpsUploadQuery = Static<typeof OpsUploadQuery>;

export const OpsStored = Type.Object(
  {
    message: Text('For people.'),
    id: Text('Of this version of the file.'),
    file_name: Text('Under which it is stored, and fetched by clients.'),
    file_size: Type.Integer({ minimum: 0, description: 'Bytes.' }),
    uploaded_by: Text('The name of the ops account.'),
  },
  { title: 'OpsStored' },
);
export type OpsStored = Static<typeof OpsStored>;

export const OpsFilesQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Names of a page; without it all.' })),
  cursor: Type.Optional(Type.String({ maxLength: 2048, description: 'From the Link field of the page before.' })),
});
export type OpsFilesQuery = Static<typeof OpsFilesQuery>;

export const OpsFiles = Type.Array(Type.String(), { description: 'Names of complete files, in order.' });

// ---------------------------------------------------------------- sessions

export const Session = Type.Object(
  {
    id: Text('As the claim sid of its tokens.'),
    created_at: Time('When it began.'),
    renewed_at: Nullable(Time('When its tokens were last renewed.')),
    expires_at: Time('When it ends if it is not renewed.'),
    user_agent: Nullable(Text('What the program that signed in calls itself.')),
    current: Type.Boolean({ description: 'True for the one that asks.' }),
  },
  { title: 'Session' },
);
export type Session = Static<typeof Session>;

export const SessionList = Type.Object(
  { sessions: Type.Array(Session) },
  { title: 'SessionList', description: 'The one used longest ago first.' },
);
export type SessionList = Static<typeof SessionList>;
