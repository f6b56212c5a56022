/** The settings that the server shows to clients. */
import Type, { type Static } from 'typebox';
import { NamedTarget } from './delivery.ts';
import { Nullable, Text } from './parts.ts';

const Value = Type.Unsafe<string | number | null>({ type: ['string', 'number', 'null'] });
/** Settings by the names of their variables, in lower case and without LADING_. */
const Section = (description: string) => Type.Record(Type.String(), Value, { description });

const FLAT_TARGET = {
  host: Nullable(
    Text('Host of the first FTP target. This and the next four keys are null unless you are an administrator.'),
  ),
  port: Nullable(Type.Integer({ minimum: 0, description: 'Port of that target.' })),
  username: Nullable(Text('User name on that target.')),
  password: Nullable(Text('Eight asterisks.')),
  directory: Nullable(Text('Directory on that target.')),
};
const FlatTarget = Type.Object(FLAT_TARGET);
export type FlatTarget = Static<typeof FlatTarget>;

export const ServerConfig = Type.Object(
  {
    version: Type.String({ description: 'Version of the server.' }),
    server: Section('Address of the server, and whether people may register.'),
    limits: Section('Limits in bytes and in requests per minute.'),
    durations: Section('Durations in the unit that the name ends with.'),
    signing: Section('How access tokens are signed.'),
    delivery: Type.Object(
      { settings: Section('Settings of all deliveries.'), targets: Type.Array(NamedTarget) },
      {
        description:
          'How complete files of your tenant are delivered, and to which targets. Only administrators see more than the names of targets.',
      },
    ),
    ...FLAT_TARGET,
  },
  { title: 'ServerConfig', description: 'Secrets that are set are shown as eight asterisks.' },
);
export type ServerConfig = Static<typeof ServerConfig>;
