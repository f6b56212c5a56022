/** Whom a word means: ids are taken as they are, names and e-mail addresses are looked up by those who may. */
import { LadingError } from '../../client/client.ts';
import type { Context } from './command.ts';
import { UsageError } from './exit.ts';

export type Kind = 'client' | 'person';

/** Ids that the server makes. Files of who was deleted are still found by theirs, so nobody has to know them any more. */
const GENERATED_ID = /^[0-9a-f]{24}$/;

/** What is needed to ask. */
type Lookup = Pick<Context, 'client' | 'signal'>;

interface Options {
  /** Who may be meant; both by default. */
  kinds?: readonly Kind[];
  /** Of which tenant; for root. */
  tenant?: string | undefined;
  /** The server takes names there itself: who may not list others sends the word as it is. */
  serverKnows?: boolean;
}

/**
 * The id of a client or person by id, name, name of an account, or e-mail address.
 * @throws LadingError `not_found`; UsageError with all ids when several have the name
 */
export async function idOf(context: Lookup, who: string, options: Options = {}): Promise<string> {
  const { kinds = ['client', 'person'] } = options;
  if (GENERATED_ID.test(who)) return who;
  try {
    const ids = [
      ...(kinds.includes('client') ? await clientsNamed(context, who, options) : []),
      ...(kinds.includes('person') ? await peopleNamed(context, who, options) : []),
    ];
    // An id that somebody chose means its owner, whatever others are called.
    const [id, ...more] = ids.includes(who) ? [who] : ids;
    if (id === undefined) throw new LadingError('not_found', `There is no ${kinds.join(' or ')} ${who}.`);
    if (more.length > 0) throw new UsageError(`Several are called ${who}: ${ids.join(', ')}. Use one of these ids.`);
    return id;
  } catch (error) {
    if (!(error instanceof LadingError && error.status === 403)) throw error;
    return options.serverKnows ? who : idAmongSeen(context, who);
  }
}

/**
 * Only administrators see who there is. Others see themselves and who granted them files, by name; any other word is taken for an id, and
 * the server judges what they may do with it.
 */
async function idAmongSeen({ client, signal }: Lookup, who: string): Promise<string> {
  const [me, { received }] = await Promise.all([
    client.whoAmI({ signal }),
    client.grants.list({ signal }).catch((error: unknown) => {
      if (error instanceof LadingError && error.status === 403) return { received: [] };
      throw error;
    }),
  ]);
  const seen = [
    // Servers of before do not say them.
    { id: me.client_id, names: me.names ?? [] },
    ...received.map(({ owner, owner_name: name }) => ({ id: owner, names: name === null ? [] : [name] })),
  ];
  if (seen.some(({ id }) => id === who)) return who;
  const isCalled = (name: string): boolean => name === who || (name.includes('@') && name === who.toLowerCase());
  const ids = [...new Set(seen.filter(({ names }) => names.some(isCalled)).map(({ id }) => id))];
  if (ids.length > 1) throw new UsageError(`Several are called ${who}: ${ids.join(', ')}. Use one of these ids.`);
  return ids[0] ?? who;
}

/** As `idOf`; nobody stays nobody. */
export async function optionalIdOf(context: Lookup, who: string | undefined, options: Options = {}) {
  return who === undefined ? undefined : idOf(context, who, options);
}

async function clientsNamed({ client, signal }: Lookup, who: string, { tenant }: Options): Promise<string[]> {
  const known = await client.clients.list({ tenant, signal });
  return known.filter((one) => one.client_id === who || one.name === who).map((one) => one.client_id);
}

async function peopleNamed({ client, signal }: Lookup, who: string, { tenant }: Options): Promise<string[]> {
  const ids: string[] = [];
  for await (const person of client.users.list({ tenant, signal })) {
    const { id, email, username, name, surname } = person;
    const names = [id, email, username, `${name} ${surname}`.trim()];
    if (names.includes(who) || (who.includes('@') && email === who.toLowerCase())) ids.push(id);
  }
  return ids;
}
