/** Clients (devices) on the wire. */
import Type, { type Static } from 'typebox';
import { Nullable, PlainTime, Text } from '../parts.ts';
import { Role } from '../role.ts';

export const Client = Type.Object(
  {
    client_id: Text("The client's id, its username at /auth/token."),
    role: Role,
    created_at: PlainTime('When the client was enrolled.'),
    last_used: Nullable(PlainTime('When it last signed in.')),
    name: Nullable(Text('Name that the administrator gave it.')),
    disabled: Type.Optional(Type.Boolean({ description: 'True: it has no access until it is enabled again.' })),
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
    name: Type.Optional(Type.String({ maxLength: 200, description: 'Display name.' })),
  },
  { title: 'NewClient' },
);
export type NewClient = Static<typeof NewClient>;

export const ClientUpdate = Type.Object(
  {
    role: Type.Optional(Role),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    disabled: Type.Optional(
      Type.Boolean({ description: 'True: it has no access, and all its sessions end; its files stay.' }),
    ),
    end_sessions: Type.Optional(Type.Boolean({ description: 'True: all its existing tokens become invalid.' })),
  },
  { title: 'ClientUpdate', description: 'Absent keys stay unchanged.', additionalProperties: false },
);
export type ClientUpdate = Static<typeof ClientUpdate>;

export const ClientCreated = Type.Object(
  {
    message: Text('What was done.'),
    client_id: Text("The client's id."),
    client_secret: Text('Its secret, shown only once.'),
    role: Role,
  },
  { title: 'ClientCreated' },
);
export type ClientCreated = Static<typeof ClientCreated>;
