/** What the server tells clients of its settings. */
import Type, { type Static } from 'typebox';
import { NamedTarget } from './delivery.ts';
import { Nullable, Text } from './parts.ts';

const Value = Type.Unsafe<string | number | null>({ type: ['string', 'number', 'null'] });
/** By the names of the variables, without LADING_ and in small letters. */
const Section = (description: string) => Type.Record(Type.String(), Value, { description });

const FLAT_TARGET = {
  host: Nullable(
    Text('Host of the first FTP target. Null, as the next four, for who may not see it: others than administrators.'),
  ),
  port: Nullable(Type.Integer({ minimum: 0, description: 'Its port.' })),
  username: Nullable(Text('The name there.')),
  password: Nullable(Text('Eight asterisks.')),
  directory: Nullable(Text('The directory there.')),
};
const FlatTarget = Type.Object(FLAT_TARGET);
export type FlatTarget = Static<typeof FlatTarget>;

export const ServerConfig = Type.Object(
  {
    version: Type.String({ description: 'Of the server.' }),
    server: Section('Where it is reached, and whether people may register.'),
    limits: Section('Bytes, and requests a minute.'),
    durations: Section('In the unit that the name ends in.'),
    signing: Section('How access tokens are signed.'),
    delivery: Type.Object(
      { settings: Section('Of all deliveries.'), targets: Type.Array(NamedTarget) },
      {
        description:
          "How finished files are sent on, and where to, of one's own tenant. The address of a target and the rest of it is for administrators.",
      },
    ),
    ...FLAT_TARGET,
  },
  { title: 'ServerConfig', description: 'Secrets that are set are shown as eight asterisks.' },
);
export type ServerConfig = Static<typeof ServerConfig>;
