/** Resolves the name, e-mail address or id of a client or person to an id. */
import { LadingError } from '../../client/client.ts';
import type { Context } from './command.ts';
import { UsageError } from './exit.ts';

/** Kinds of principals that have names. */
export type Kind = 'client' | 'person';

/** An id that the server generated. It is used without a lookup, so that files of a deleted principal can still be found. */
const GENERATED_ID = /^[0-9a-f]{24}$/;

/** The scope that lists principals of a kind. */
const LISTS = { client: 'clients:admin', person: 'users:admin' } as const;

/** The parts of the context that a lookup uses. */
type Lookup = Pick<Context, 'client' | 'signal'>;

interface Options {
  /** Kinds to search; both by default. */
  kinds?: readonly Kind[];
  /** Another tenant; for root. */
  tenant?: string | undefined;
  /** The server resolves names in this call. Without the right to list principals, send the name unchanged. */
  serverResolves?: boolean;
}

/**
 * Finds a client or person by id, name, account name or e-mail address.
 * @throws LadingError `not_found`; UsageError, listing the ids, when several have this name
 */
export async function idOf(context: Lookup, who: string, options: Options = {}): Promise<string> {
  const { kinds = ['client', 'person'] } = options;
  if (GENERATED_ID.test(who)) return who;
  // Ask for the scopes first: a refused list would be an audit entry that looks like an attack.
  const { scopes } = await context.client.whoAmI({ signal: context.signal });
  if (!kinds.every((kind) => scopes.includes(LISTS[kind])))
    return options.serverResolves ? who : idAmongVisible(context, who);
  try {
    const ids = [
      ...(kinds.includes('client') ? await clientsNamed(context, who, options) : []),
      ...(kinds.includes('person') ? await peopleNamed(context, who, options) : []),
    ];
    // An exact id takes precedence over names.
    const [id, ...more] = ids.includes(who) ? [who] : ids;
    if (id === undefined)
      throw new LadingError('not_found', `There is no ${kinds.join(' or ')} with the id or name ${who}.`);
    if (more.length > 0) throw ambiguous(who, ids);
    return id;
  } catch (error) {
    if (!(error instanceof LadingError && error.status === 403)) throw error;
    return options.serverResolves ? who : idAmongVisible(context, who);
  }
}

/**
 * Resolves a name without administrator rights, among the caller and the principals that granted files to it. Anything else counts as an
 * id, and the server decides what is allowed.
 */
async function idAmongVisible({ client, signal }: Lookup, who: string): Promise<string> {
  const [me, { received }] = await Promise.all([
    client.whoAmI({ signal }),
    client.grants.list({ signal }).catch((error: unknown) => {
      if (error instanceof LadingError && error.status === 403) return { received: [] };
      throw error;
    }),
  ]);
  const visible = [
    // Older servers do not send names.
    { id: me.client_id, names: me.names ?? [] },
    ...received.map(({ owner, owner_name: name }) => ({ id: owner, names: name === null ? [] : [name] })),
  ];
  if (visible.some(({ id }) => id === who)) return who;
  const hasName = (name: string): boolean => name === who || (name.includes('@') && name === who.toLowerCase());
  const ids = [...new Set(visible.filter(({ names }) => names.some(hasName)).map(({ id }) => id))];
  if (ids.length > 1) throw ambiguous(who, ids);
  return ids[0] ?? who;
}

function ambiguous(name: string, ids: readonly string[]): UsageError {
  return new UsageError(`The name ${name} is ambiguous. Use one of these ids: ${ids.join(', ')}`);
}

/** Like `idOf`; undefined stays undefined. */
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
