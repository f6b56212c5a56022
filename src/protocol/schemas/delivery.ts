/** Delivery on the wire: targets, and what is on its way to them. */
import Type, { type Static } from 'typebox';
import { EVENT_TYPES } from './event.ts';
import { Nullable, Text, Time, Words } from './parts.ts';

export const TARGET_KINDS = ['ftp', 'ftps', 'webhook'] as const;
export const DELIVERY_STATES = ['queued', 'sending', 'delivered', 'failed', 'cancelled'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

const Events = Type.Array(Words(EVENT_TYPES), { maxItems: 16, description: 'Of a webhook: which events.' });
const Content = Words(['event', 'file'], {
  description: 'Of a webhook: what it is sent. file: each complete file itself, and no events.',
});
const Port = Type.Integer({ minimum: 1, maximum: 65535, description: 'Of an FTP server.' });

const Security = Words(['explicit', 'implicit'], {
  description:
    'Of an FTPS server. explicit (default): it begins in the clear and turns to TLS before the password; implicit: TLS from the first byte, by default on port 990.',
});

export const DeliveryRule = Type.Object(
  {
    owner: Type.Optional(
      Nullable(Type.String({ maxLength: 128, description: 'Only files of this client or person.' })),
    ),
    prefix: Type.Optional(Type.String({ maxLength: 1024, description: 'Only files whose names begin so.' })),
    type: Type.Optional(
      Nullable(
        Type.String({ maxLength: 128, description: 'Only files of this media type; audio/* for all of a sort.' }),
      ),
    ),
  },
  { title: 'DeliveryRule', additionalProperties: false },
);

export const NewTarget = Type.Object(
  {
    kind: Words(TARGET_KINDS, { description: 'ftps: FTP with TLS.' }),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'By default its host.' })),
    rule: Type.Optional(DeliveryRule),
    host: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 253,
        description: 'Of an FTP server. ftps://host means FTPS with TLS from the first byte.',
      }),
    ),
    port: Type.Optional(Port),
    security: Type.Optional(Security),
    username: Type.Optional(Type.String({ maxLength: 256, description: 'Of an FTP server; by default anonymous.' })),
    password: Type.Optional(
      Type.String({ maxLength: 1024, description: 'Of an FTP server; needed for all users but anonymous.' }),
    ),
    directory: Type.Optional(
      Type.String({ maxLength: 1024, description: 'On an FTP server; made if it is not there.' }),
    ),
    pattern: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'Of names on an FTP server. Words: {date} {time} {client_id} {name} {id}.',
        examples: ['{date}_{time}_{client_id}_{name}'],
      }),
    ),
    ca: Type.Optional(
      Type.String({
        maxLength: 32768,
        description: 'PEM certificates of the authority that signed the certificate of the FTPS server.',
      }),
    ),
    url: Type.Optional(Type.String({ maxLength: 2048, description: 'Of a webhook.' })),
    events: Type.Optional(Events),
    content: Type.Optional(Content),
    secret: Type.Optional(
      Type.String({ maxLength: 256, description: 'Signs what a webhook is sent; one is made by default.' }),
    ),
  },
  { title: 'NewDeliveryTarget', additionalProperties: false },
);
export type NewTarget = Static<typeof NewTarget>;

const shared = {
  id: Text('To delete it by.'),
  kind: Words(TARGET_KINDS),
  name: Text('Unique in its tenant.'),
  tenant: Text('Whose files and events it gets.'),
  created_at: Time('When it was made; files complete before are not sent.'),
  rule: DeliveryRule,
  host: Type.Optional(Text('Of an FTP server.')),
  port: Type.Optional(Port),
  security: Type.Optional(Security),
  username: Type.Optional(Text('Of an FTP server.')),
  password: Type.Optional(Text('Eight asterisks.')),
  directory: Type.Optional(Text('On an FTP server.')),
  pattern: Type.Optional(Text('Of names on an FTP server.')),
  ca: Type.Optional(
    Nullable(
      Type.String({ description: 'PEM certificates of the authority that signed the certificate of the FTPS server.' }),
    ),
  ),
  url: Type.Optional(Text('Of a webhook.')),
  events: Type.Optional(Events),
  content: Type.Optional(Content),
  disabled: Type.Optional(
    Type.Object(
      { since: Time('When it was disabled.'), reason: Text('Why.') },
      { description: 'Nothing is sent to it. Absent: it is enabled.' },
    ),
  ),
};

export const Target = Type.Object(
  { ...shared, secret: Type.Optional(Text('Eight asterisks.')) },
  { title: 'DeliveryTarget' },
);
export type Target = Static<typeof Target>;

export const TargetChange = Type.Object(
  {
    disabled: Type.Boolean({
      description:
        'true: nothing is sent to it any more, and what waits is cancelled. false: files that become complete from now on are sent.',
    }),
  },
  { title: 'DeliveryTargetChange', additionalProperties: false },
);
export type TargetChange = Static<typeof TargetChange>;

/** As who is no administrator sees it: its name alone. */
export const NamedTarget = Type.Object(
  { ...Type.Partial(Target).properties, name: Text('Unique in its tenant.') },
  { title: 'NamedTarget', description: 'Below the role admin the name alone.' },
);
export type NamedTarget = Static<typeof NamedTarget>;

export const TargetCreated = Type.Object(
  { ...shared, secret: Type.Optional(Text('Of a webhook, shown this once: receivers check signatures with it.')) },
  { title: 'DeliveryTargetCreated' },
);
export type TargetCreated = Static<typeof TargetCreated>;

export const TargetList = Type.Object({ targets: Type.Array(Target) }, { title: 'DeliveryTargetList' });
export type TargetList = Static<typeof TargetList>;

/** As the status of a file shows it. */
export const FileDelivery = Type.Object(
  {
    target: Text('Name of the target.'),
    state: Words(DELIVERY_STATES),
    attempts: Type.Integer({ minimum: 0, description: 'Tries so far.' }),
    last_error: Nullable(
      Type.String({ description: 'What the last try failed with; for administrators in the words of the target.' }),
    ),
  },
  { title: 'FileDelivery' },
);
export type FileDelivery = Static<typeof FileDelivery>;

export const Delivery = Type.Object(
  {
    id: Text('Of webhooks also the field webhook-id.'),
    target_id: Text('Where to.'),
    target: Text('Its name.'),
    tenant: Text('Whose.'),
    event: Words(EVENT_TYPES),
    owner: Nullable(Type.String({ description: 'Client or person whose file it is.' })),
    filename: Nullable(Type.String({ description: 'The file.' })),
    state: Words(DELIVERY_STATES),
    attempts: Type.Integer({ minimum: 0, description: 'Tries so far.' }),
    last_error: Nullable(Type.String({ description: 'What the last try failed with.' })),
    created_at: Time('When it was queued.'),
    next_attempt_at: Nullable(Type.String({ description: 'When it is tried next; null once it is over.' })),
    ended_at: Nullable(Type.String({ description: 'When it was over.' })),
  },
  { title: 'Delivery' },
);
export type Delivery = Static<typeof Delivery>;

export const DeliveryQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'At most so many.' })),
  cursor: Type.Optional(Type.String({ maxLength: 64, description: 'next_cursor of the page before.' })),
  state: Type.Optional(Words(DELIVERY_STATES, { description: 'Only in this state.' })),
  target: Type.Optional(Type.String({ maxLength: 64, description: 'Only to the target of this id.' })),
  tenant: Type.Optional(
    Type.String({ maxLength: 63, description: 'Only of this tenant; for root, who sees all without it.' }),
  ),
});
export type DeliveryQuery = Static<typeof DeliveryQuery>;

export const DeliveryPage = Type.Object(
  {
    deliveries: Type.Array(Delivery, { description: 'Youngest first.' }),
    next_cursor: Nullable(Type.String({ description: 'To be sent as cursor for the next page; null on the last.' })),
  },
  { title: 'DeliveryPage' },
);
export type DeliveryPage = Static<typeof DeliveryPage>;
