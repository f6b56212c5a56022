/** People on the wire: /v1/auth and /v1/user. The routes check names, addresses and passwords further. */
import Type, { type Static } from 'typebox';
import { Nullable, Seconds, Text, Time } from '../parts.ts';
import { Role } from '../role.ts';

const Email = Type.String({ maxLength: 320, description: 'The e-mail address, at most 254 characters.' });
const Name = Type.String({ maxLength: 400, description: 'The given name, 1 to 100 characters.' });
const Surname = Type.String({ maxLength: 400, description: 'The family name, 1 to 100 characters.' });
const NoSurname = Type.Optional(
  Nullable(Type.String({ maxLength: 400, description: 'The family name, at most 100 characters.' })),
);
const Password = Type.String({
  maxLength: 1024,
  description: 'The password: 8 to 128 characters, not common, not easy to guess.',
});
const RepeatedPassword = Type.String({ maxLength: 1024, description: 'The password, repeated.' });
const Tenant = Type.Optional(
  Type.String({
    maxLength: 63,
    description: 'Id of the tenant of the person; the default tenant if absent.',
  }),
);

export const Person = Type.Object(
  {
    id: Text("The person's id."),
    email: Nullable(Text('The e-mail address, in lower case; null if not set.')),
    name: Text('The given name.'),
    surname: Text('The family name; empty when none was given.'),
    is_admin: Type.Boolean({ description: 'True for the roles admin and root.' }),
    role: Role,
    tenant: Text('Id of the tenant.'),
    username: Type.Optional(Text('User name of an ops or client account.')),
    account_kind: Type.Optional(Text('Kind of such an account: ops or client.')),
    created_at: Time('When the account was created.'),
    last_used: Nullable(Time('When the person last sent a request.')),
    disabled: Type.Optional(Type.Boolean({ description: 'True: the person has no access until enabled again.' })),
  },
  { title: 'Person' },
);
export type Person = Static<typeof Person>;

export const SignedIn = Type.Object(
  {
    access_token: Text('Send it as Authorization: Bearer <token>; browsers also get it as a cookie.'),
    refresh_token: Text('Works for one POST /v1/auth/refresh; browsers also get it as a cookie.'),
    token_type: Type.Unsafe<'bearer'>({ type: 'string', enum: ['bearer'] }),
    expires_in: Seconds('Seconds until the access token expires.'),
    refresh_expires_in: Seconds('Seconds until the refresh token expires.'),
    access_token_expires_at: Time('When the access token expires.'),
    refresh_token_expires_at: Time('When the refresh token expires.'),
    user: Person,
    // For programs that read the person at the top level.
    ...Type.Pick(Person, ['id', 'name', 'surname', 'email', 'is_admin']).properties,
  },
  { title: 'SignedIn', description: 'The person who signed in, and the tokens.' },
);
export type SignedIn = Static<typeof SignedIn>;

export const Registration = Type.Object(
  { name: Name, surname: NoSurname, email: Email, password: Password, password2: RepeatedPassword },
  { title: 'Registration' },
);
export type Registration = Static<typeof Registration>;

export const Login = Type.Object(
  {
    email: Type.String({ maxLength: 320, description: 'The e-mail address.' }),
    password: Type.String({ maxLength: 1024, description: 'The password.' }),
    tenant: Tenant,
    // Some programs send the document that they registered with.
    name: Type.Optional(Name),
    surname: NoSurname,
    password2: Type.Optional(RepeatedPassword),
  },
  { title: 'Login', description: 'name, surname and password2 are ignored.' },
);
export type Login = Static<typeof Login>;

/** A request to refresh or to log out. */
export const RefreshToken = Type.Object(
  {
    refresh_token: Type.Optional(
      Nullable(Type.String({ maxLength: 200, description: 'By default the cookie is used.' })),
    ),
  },
  { title: 'RefreshToken' },
);
export type RefreshToken = Static<typeof RefreshToken>;

export const OwnChange = Type.Object(
  {
    name: Type.Optional(Nullable(Name)),
    surname: Type.Optional(Nullable(Surname)),
    password: Type.Optional(Nullable(Password)),
    password2: Type.Optional(Nullable(RepeatedPassword)),
    old_password: Type.Optional(
      Nullable(Type.String({ maxLength: 1024, description: 'The current password; required with password.' })),
    ),
  },
  {
    title: 'OwnChange',
    description: 'Keys that are absent or null stay unchanged. A new password ends all sessions, including this one.',
  },
);
export type OwnChange = Static<typeof OwnChange>;

export const NewPerson = Type.Object(
  {
    name: Name,
    surname: NoSurname,
    email: Email,
    password: Password,
    password2: Type.Optional(RepeatedPassword),
    role: Type.Optional(Role),
  },
  { title: 'NewPerson', description: 'The default role is client.' },
);
export type NewPerson = Static<typeof NewPerson>;

const Criterion = (maxLength: number, description: string) =>
  Type.Optional(Type.Union([Type.String({ maxLength }), Type.Number(), Type.Null()], { description }));

/** At least one key is required. Null counts as absent, a number as its text. */
export const WhichPerson = Type.Object(
  {
    id: Criterion(64, "The person's id."),
    email: Criterion(320, 'The e-mail address.'),
    name: Criterion(400, 'The given name.'),
    surname: Criterion(400, 'The family name.'),
  },
  {
    title: 'WhichPerson',
    description: 'All given keys must match. If several people match, the oldest account is used.',
  },
);
export type WhichPerson = Static<typeof WhichPerson>;

export const PersonChange = Type.Object(
  {
    name: Type.Optional(Name),
    surname: Type.Optional(Surname),
    email: Type.Optional(Email),
    role: Type.Optional(Role),
    password: Type.Optional(Password),
    password2: Type.Optional(RepeatedPassword),
    disabled: Type.Optional(
      Type.Boolean({ description: 'True: the person has no access, and all sessions end; the files stay.' }),
    ),
    end_sessions: Type.Optional(Type.Boolean({ description: 'True: end all sessions of the person.' })),
  },
  { title: 'PersonChange', description: 'Absent keys stay unchanged. A new role or password ends all sessions.' },
);
export type PersonChange = Static<typeof PersonChange>;

export const PersonKey = Type.Object({ pk: Text("The person's id.") }, { title: 'PersonKey' });
export type PersonKey = Static<typeof PersonKey>;

export const PeopleQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Maximum number of people per page.' }),
    ),
    cursor: Type.Optional(Type.String({ maxLength: 64, description: 'next_cursor of the previous page.' })),
    tenant: Type.Optional(Type.String({ maxLength: 63, description: 'Id of another tenant. For root only.' })),
  },
  { title: 'PeopleQuery' },
);
export type PeopleQuery = Static<typeof PeopleQuery>;

export const PeopleList = Type.Object(
  {
    users: Type.Array(Person),
    next_cursor: Nullable(Text('Send it as cursor for the next page; null on the last page.')),
  },
  { title: 'PeopleList', description: 'Oldest first.' },
);
export type PeopleList = Static<typeof PeopleList>;
