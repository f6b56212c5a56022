/**
 * `lading __complete KIND CURRENT WORDS...`: prints the values from the server that begin with the typed word, one per line. The
 * completion scripts call it. It never prompts, prints nothing on failure, and takes at most two seconds.
 */
import type { LadingClient } from '../../client/client.ts';
import { storeOf } from '../shared/command.ts';
import { configPathOf, type GlobalOptions, loadSettings } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';

/** Kinds of values that the server can suggest. */
export type ValueKind =
  | 'file'
  | 'client'
  | 'person'
  | 'who'
  | 'tenant'
  | 'token'
  | 'share'
  | 'grant'
  | 'target'
  | 'delivery';

const TIMEOUT_MS = 2_000;
/** Stop after this many file names. */
const MAX_FILES = 5_000;
const MAX_DELIVERIES = 200;

interface Query {
  client: LadingClient;
  current: string;
  owner?: string | undefined;
  tenant?: string | undefined;
  signal: AbortSignal;
}

const SOURCES: { [K in ValueKind]: (query: Query) => Promise<string[]> } = {
  file: files,
  client: clients,
  person: people,
  who: async (query) => {
    const all = await Promise.allSettled([clients(query), people(query), granters(query)]);
    return all.flatMap((found) => (found.status === 'fulfilled' ? found.value : []));
  },
  tenant: async ({ client, signal }) => (await client.tenants.list({ signal })).map((tenant) => tenant.tenant_id),
  token: async ({ client, signal }) =>
    (await client.tokens.list(undefined, { signal })).map(({ token_id }) => token_id),
  share: async ({ client, signal }) =>
    (await client.shares.list(undefined, { signal })).map(({ share_id }) => share_id),
  grant: async ({ client, signal }) => (await client.grants.list({ signal })).given.map(({ grant_id }) => grant_id),
  target: async ({ client, tenant, signal }) =>
    (await client.deliveries.targets({ tenant, signal })).map(({ id }) => id),
  delivery: deliveries,
};

/** Prints suggestions. @param words the command line before the typed word, without the program name */
export async function printSuggestions([kind = '', current = '', ...words]: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const timeout = new Promise<string[]>((resolve) => signal.addEventListener('abort', () => resolve([])));
  const values = await Promise.race([timeout, suggestionsFor(kind, current, words, signal).catch(() => [])]);
  // Skip names with control characters: they cannot be typed.
  const safe = new Set(values.filter((value) => value.startsWith(current) && printable(value) === value));
  process.stdout.write(
    [...safe]
      .sort()
      .map((value) => `${value}\n`)
      .join(''),
  );
}

async function suggestionsFor(
  kind: string,
  current: string,
  words: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  if (!isValueKind(kind)) return [];
  const { owner, tenant, ...globals } = optionsIn(words);
  const settings = await loadSettings(globals);
  const { connect } = await import('../../client/node.ts');
  const store = storeOf(settings, configPathOf(globals));
  const client = connect({ server: settings.server, ca: settings.ca, ...settings.credentials, store });
  const query: Query = { client, current, tenant, signal };
  if (owner !== undefined) {
    const { idOf } = await import('../shared/principals.ts');
    query.owner = await idOf({ client, signal }, owner, { tenant });
  }
  return SOURCES[kind](query);
}

function isValueKind(kind: string): kind is ValueKind {
  return Object.hasOwn(SOURCES, kind);
}

/** Reads the options for the request from the words typed so far: `--server URL` or `--server=URL`. */
function optionsIn(words: readonly string[]): GlobalOptions & { owner?: string; tenant?: string } {
  const value = (name: string): string | undefined => {
    const at = words.lastIndexOf(name);
    return at >= 0 ? words[at + 1] : words.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  };
  const secretFile = value('--client-secret-file');
  const found = {
    server: value('--server'),
    clientId: value('--client-id'),
    clientSecret: value('--client-secret'),
    clientSecretFile: secretFile === '-' ? undefined : secretFile,
    token: value('--token'),
    ca: value('--ca'),
    config: value('--config'),
    owner: value('--owner'),
    tenant: value('--tenant'),
  };
  return Object.fromEntries(Object.entries(found).filter(([, text]) => text !== undefined));
}

/** Suggests names up to the next slash, as shells complete directories. */
async function files({ client, current, owner, signal }: Query): Promise<string[]> {
  const names = new Set<string>();
  let seen = 0;
  for await (const { filename } of client.list({ prefix: current, owner, limit: 1000, signal })) {
    const slash = filename.indexOf('/', current.length);
    names.add(slash < 0 ? filename : filename.slice(0, slash + 1));
    seen += 1;
    if (seen >= MAX_FILES) break;
  }
  return [...names];
}

/** Suggests unique names, and ids for clients without one. */
async function clients({ client, tenant, signal }: Query): Promise<string[]> {
  const all = await client.clients.list({ tenant, signal });
  const named = (name: string | null) => all.filter((one) => one.name === name).length;
  return all.map(({ client_id, name }) => (name !== null && named(name) === 1 ? name : client_id));
}

async function people({ client, tenant, signal }: Query): Promise<string[]> {
  const found: string[] = [];
  for await (const { email, username, id } of client.users.list({ tenant, signal }))
    found.push(email ?? username ?? id);
  return found;
}

async function deliveries({ client, signal }: Query): Promise<string[]> {
  const found: string[] = [];
  for await (const { id } of client.deliveries.list({ state: 'failed', signal })) {
    found.push(id);
    if (found.length >= MAX_DELIVERIES) break;
  }
  return found;
}

/** Suggests principals that granted files to this one. */
async function granters({ client, signal }: Query): Promise<string[]> {
  return (await client.grants.list({ signal })).received.map(({ owner, owner_name: name }) => name ?? owner);
}
