/** Server and credentials: from flags, then the environment, then a private file. The only reader of `process.env` in the command line. */
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import type { Credentials } from '../../client/calls/session.ts';
import { resolveLinks } from '../../client/files/links.ts';
import { FileReadError, fileKind, readSmallFileOrPipe } from '../../settings/small-file.ts';
import { UsageError } from './exit.ts';

/** The options that every command has. */
export interface GlobalOptions {
  server?: string;
  clientId?: string;
  clientSecret?: string;
  clientSecretFile?: string;
  token?: string;
  ca?: string;
  config?: string;
  json?: boolean;
  quiet?: boolean;
}

/** The merged settings of a command. */
export interface Settings {
  server: string;
  credentials: Credentials;
  /** PEM file with certificate authorities to trust for this server. */
  caFile?: string | undefined;
  /** The content of that file. */
  ca?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings from one source: flags, environment or file. */
interface PartialSettings extends Credentials {
  server?: string | undefined;
  caFile?: string | undefined;
}

export const DEFAULT_SERVER = 'http://localhost:8005';

/** Loads the settings. Throws `UsageError` for a file that others can read, or that is not a settings file. */
export async function loadSettings(options: GlobalOptions, env: Environment = process.env): Promise<Settings> {
  const path = configPathOf(options, env);
  const stored = await readConfig(path, options.config !== undefined);
  return withCa(mergeSettings([await fromFlags(options), fromEnvironment(env)], stored));
}

/** Settings for `login`, which ignores the stored file because it replaces it. */
export async function loginSettings(options: GlobalOptions, env: Environment = process.env): Promise<Settings> {
  return withCa(mergeSettings([await fromFlags(options), fromEnvironment(env)], {}));
}

function mergeSettings(given: readonly PartialSettings[], stored: PartialSettings): Settings {
  const source = given.find(({ server }) => server !== undefined) ?? stored;
  const server = checkServer(source.server ?? DEFAULT_SERVER);
  // Never send credentials that were stored for another server.
  const own = stored.server === undefined || checkServer(stored.server) === server ? stored : {};
  const sources = [...given, own];
  const caFile = sources.find((one) => one.caFile !== undefined)?.caFile;
  return { server, credentials: mergeCredentials(sources), ...(caFile === undefined ? {} : { caFile }) };
}

/** Reads `caFile`. Throws `FileReadError` if it cannot be read, `UsageError` if it contains no certificate. */
async function withCa(settings: Settings): Promise<Settings> {
  const { caFile } = settings;
  if (caFile === undefined) return settings;
  const ca = await readNamedFile('The certificate file', caFile);
  if (ca.includes('-----BEGIN CERTIFICATE-----')) return { ...settings, ca };
  throw new UsageError(`${caFile} contains no certificate: the line -----BEGIN CERTIFICATE----- is missing.`);
}

async function fromFlags(options: GlobalOptions): Promise<PartialSettings> {
  const { server, token, clientId, clientSecret, clientSecretFile, ca: caFile } = options;
  return { server, token, clientId, clientSecret: clientSecret ?? (await secretFrom(clientSecretFile)), caFile };
}

function fromEnvironment(env: Environment): PartialSettings {
  // An empty variable counts as unset.
  return {
    server: env.LADING_SERVER || undefined,
    token: env.LADING_TOKEN || undefined,
    clientId: env.LADING_CLIENT_ID || undefined,
    clientSecret: env.LADING_CLIENT_SECRET || undefined,
    caFile: env.LADING_CA || undefined,
  };
}

/** The path of the settings file, which need not exist. */
export function configPathOf(options: GlobalOptions, env: Environment = process.env): string {
  const directory = env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return options.config ?? (env.LADING_CONFIG || join(directory, 'lading', 'config.json'));
}

/**
 * The first source with a token or a client id decides the identity. The secret may come from another source, so that `--client-id` can be
 * combined with `LADING_CLIENT_SECRET`.
 */
function mergeCredentials(sources: readonly PartialSettings[]): Credentials {
  const first = sources.findIndex(({ token, clientId }) => token !== undefined || clientId !== undefined);
  const source = sources[first];
  if (source === undefined) return {};
  const { token, clientId } = source;
  if (clientId === undefined) return { token };
  const withSecret = sources
    .slice(first)
    .find((later) => later.clientSecret !== undefined && (later.clientId === undefined || later.clientId === clientId));
  const before = sources.slice(0, first).find(({ clientSecret }) => clientSecret !== undefined);
  return { token, clientId, clientSecret: before?.clientSecret ?? withSecret?.clientSecret };
}

/** Stores verified credentials atomically, in a file that only its owner can read. */
export async function writeConfig(
  named: string,
  config: { server: string; clientId: string; clientSecret: string; caFile?: string | undefined },
): Promise<void> {
  const path = await resolveLinks(named);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const next = `${path}.${process.pid}.new`;
  const file = await open(next, 'wx', 0o600);
  try {
    const { server, clientId, clientSecret, caFile } = config;
    const ca = caFile === undefined ? {} : { ca: resolve(caFile) };
    const stored = { server, client_id: clientId, client_secret: clientSecret, ...ca };
    await file.chmod(0o600);
    await file.writeFile(`${JSON.stringify(stored, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
}

async function readConfig(path: string, named: boolean): Promise<PartialSettings> {
  const text = await readPrivate(path).catch((error: unknown) => {
    if (error instanceof UsageError) throw error;
    if (!named && error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new UsageError(`The settings file ${path} ${readFailure(error)}.`);
  });
  if (text === null) return {};
  const config = parse(path, text);
  const field = (key: string): string | undefined => {
    const value = config[key];
    if (value === undefined || typeof value === 'string') return value;
    throw new UsageError(`In ${path}, ${key} must be a string.`);
  };
  return {
    server: field('server'),
    token: field('token'),
    clientId: field('client_id'),
    clientSecret: field('client_secret'),
    caFile: field('ca'),
  };
}

/**
 * Reads a file or pipe that the user named.
 * @param what its description in errors: `The secret file`
 * @throws FileReadError whose message is a complete sentence
 */
export async function readNamedFile(what: string, path: string): Promise<string> {
  try {
    return (await readSmallFileOrPipe(path)).toString('utf8');
  } catch (error) {
    if (!(error instanceof FileReadError)) throw error;
    throw new FileReadError(`${what}, ${path}, ${error.message}.`, error.code);
  }
}

/** Describes the failure: `cannot be read (ENOENT)`, `is a directory`. */
function readFailure(error: unknown): string {
  if (error instanceof FileReadError) return error.message;
  const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
  return `cannot be read${code}`;
}

async function readPrivate(path: string): Promise<string> {
  const stats = await stat(path);
  const { mode } = stats;
  if (!stats.isFile() && !stats.isFIFO()) throw new UsageError(`The settings file ${path} is ${fileKind(stats)}.`);
  // Windows has no permission bits.
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new UsageError(
      `${path} contains a secret, but other users can read or change it (mode ${shown}). Run: chmod 600 ${path}`,
    );
  }
  return (await readSmallFileOrPipe(path)).toString('utf8');
}

function parse(path: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The error is thrown below.
  }
  throw new UsageError(`${path} is not a JSON object with server, client_id and client_secret.`);
}

/** Reads a secret from a file, or from standard input for `-`, without a final line break. */
export async function secretFrom(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text =
    path === '-'
      ? await readAll(process.stdin)
      : await readNamedFile('The secret file', path).catch((error: Error) => {
          throw new UsageError(error.message);
        });
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') throw new UsageError('The secret file is empty.');
  return secret;
}

/** Reads the password of a delivery target. It is not an option, because other users of the machine can see those. */
export async function targetPassword(env: Environment = process.env): Promise<string> {
  const password = env.LADING_TARGET_PASSWORD;
  if (password !== undefined) return password;
  if (process.stdin.isTTY) {
    throw new UsageError('Pass the password in LADING_TARGET_PASSWORD or on standard input: … < password.txt');
  }
  return (await readAll(process.stdin)).replace(/\r?\n$/, '');
}

function checkServer(server: string): string {
  let url: URL;
  try {
    url = new URL(server.endsWith('/') ? server : `${server}/`);
  } catch {
    throw new UsageError(`${server} is not a server URL. Use a URL such as https://files.example.org`);
  }
  if (!/^https?:$/.test(url.protocol)) {
    const bare = server.replace(/^[\w+.-]+:\/\//, '');
    throw new UsageError(`The server URL must begin with http:// or https://, for example http://${bare}`);
  }
  return url.href;
}
