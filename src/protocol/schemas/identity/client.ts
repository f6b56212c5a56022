/** Clients (devices) on the wire. */
import Type, { type Static } from 'typebox';
import { Nullable, PlainTime, Text } from '../parts.ts';
import { Role } from '../role.ts';

export const Client = Type.Object(
  {
    client_id: Text("The client's id, its username at /auth/token."),
    role: Role,
    created_at: PlainTime('When it was enrolled.'),
    last_used: Nullable(PlainTime('When it last signed in.')),
    name: Nullable(Text('What the administrator called it.')),
    disabled: Type.Optional(Type.Boolean({ description: 'True: it may do nothing until it is enabled again.' })),
  },
  { title: 'Client' },
);
export type Client = Static<typeof Client>;

export const ClientList = Type.Object(
  { clients: Type.Array(Client), count: Type.Integer({ minimum: 0 }) },
  { title: 'ClientList' },
);
export type ClientList = Static<typeof ClientList>;

export const NewClient = Type.Object(
  {
    role: Role,
    name: Type.Optional(Type.String({ maxLength: 200, description: 'A name to tell it from others.' })),
  },
  { title: 'NewClient' },
);
export type NewClient = Static<typeof NewClient>;

export const ClientUpdate = Type.Object(
  {
    role: Type.Optional(Role),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    disabled: Type.Optional(
      Type.Boolean({ description: 'True: it may do nothing from now on, and all its sessions end; its files stay.' }),
    ),
    end_sessions: Type.Optional(Type.Boolean({ description: 'True: its tokens of before are refused.' })),
  },
  { title: 'ClientUpdate', description: 'What is absent stays.', additionalProperties: false },
);
export type ClientUpdate = Static<typeof ClientUpdate>;

export const ClientCreated = Type.Object(
  {
    message: Text('What was done.'),
    client_id: Text("The client's id."),
    client_secret: Text('Its secret, shown this once.'),
    role: Role,
  },
  { title: 'ClientCreated' },
);
export type ClientCreated = Static<typeof ClientCreated>;
