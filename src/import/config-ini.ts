/**
 * Reads clients and the FTP server from the `config.ini` of an older recording server:
 *
 *     [FTP]                                       [clients]                      [client:recorder-1]
 *     host = …  port  username                    recorder-1 = HASH              client_secret_hash = HASH
 *     password  directory                         [roles]                        role = client
 *                                                 recorder-1 = admin
 *
 * A section with the key `client_id` also describes a client. HASH is a hash of werkzeug, or a plain secret.
 */
import { isForeignHash } from '../identity/credentials/foreign-hashes.ts';
import { ROLES, type Role } from '../protocol/schemas/role.ts';
import type { Ini } from './ini.ts';

export interface FoundClient {
  id: string;
  role: Role;
  /** A hash of the older server; null: `secret` has the plain secret. */
  hash: string | null;
  secret: string | null;
}

export interface FoundFtp {
  host: string;
  port: number;
  username: string;
  password: string;
  directory: string;
}

export interface Found {
  clients: FoundClient[];
  ftp: FoundFtp | null;
  /** Sentences about entries that cannot be imported. They contain no secrets. */
  problems: string[];
  /** Names of sections that are not imported. */
  ignored: string[];
}

/** Roles of older servers for clients that may only store files. */
const PLAIN_ROLES = ['user', 'recorder', 'uploader', 'device', 'readonly', 'guest'];
const SECRETS = ['client_secret_hash', 'secret_hash', 'password_hash', 'hash', 'client_secret', 'secret', 'password'];

type Fields = ReadonlyMap<string, string>;

/** Reads what can be imported. */
export function findIn(ini: Ini): Found {
  const found: Found = { clients: [], ftp: null, problems: [], ignored: [] };
  const secrets = new Map<string, { secret: string; role: string | null }>();
  const roles = new Map<string, string>();
  for (const [title, section] of ini) {
    const name = title.toLowerCase();
    const fields = lowered(section);
    const [, named] = /^client[ :._-]+(.+)$/i.exec(title) ?? [];
    const id = fields.get('client_id') ?? named;
    if (name === 'ftp') found.ftp = ftpOf(fields, found.problems);
    else if (/^(oauth_?|api_?)?clients$/.test(name))
      for (const [key, value] of section) secrets.set(key, listed(value));
    else if (/^(client_?)?roles$/.test(name)) for (const [key, value] of section) roles.set(key, value);
    else if (id !== undefined)
      secrets.set(id.trim(), { secret: firstOf(fields, SECRETS) ?? '', role: fields.get('role') ?? null });
    else found.ignored.push(title);
  }
  for (const [id, { secret, role }] of secrets) {
    const client = clientOf(id, secret, roles.get(id) ?? role, found.problems);
    if (client) found.clients.push(client);
  }
  for (const id of roles.keys()) if (!secrets.has(id)) found.problems.push(`${shown(id)} has a role and no secret.`);
  return found;
}

function lowered(section: ReadonlyMap<string, string>): Fields {
  return new Map([...section].map(([key, value]) => [key.toLowerCase(), value]));
}

function firstOf(fields: Fields, names: readonly string[]): string | null {
  for (const name of names) {
    const value = fields.get(name);
    if (value !== undefined && value !== '') return value;
  }
  return null;
}

/** `HASH`, `HASH, role`, or a JSON object with both. */
function listed(value: string): { secret: string; role: string | null } {
  if (value.startsWith('{')) {
    try {
      const parsed = JSON.parse(value) as Record<string, unknown>;
      const fields = new Map(Object.entries(parsed).map(([key, value]) => [key.toLowerCase(), String(value)]));
      return { secret: firstOf(fields, SECRETS) ?? '', role: fields.get('role') ?? null };
    } catch {
      // A secret may begin with a brace.
    }
  }
  const [, hash = value, role = null] = /^(\S+)\s*[,;|]\s*([A-Za-z]+)$/.exec(value) ?? [];
  return { secret: hash, role };
}

function clientOf(id: string, secret: string, asked: string | null, problems: string[]): FoundClient | null {
  const role = roleOf(asked);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id))
    problems.push(`${shown(id)} is no id of a client: letters, digits or any of . _ -, at most 64.`);
  else if (secret === '') problems.push(`${shown(id)} has no secret.`);
  else if (role === null)
    problems.push(`${shown(id)} has the role ${shown(asked ?? '')}; there are ${ROLES.join(', ')}.`);
  else if (/^(pbkdf2|scrypt|sha\d+|md5|plain)[:$]/.test(secret) && !isForeignHash(secret))
    problems.push(
      `${shown(id)} has a hash of a kind that is not known; give it a new secret with lading clients create.`,
    );
  else return isForeignHash(secret) ? { id, role, hash: secret, secret: null } : { id, role, hash: null, secret };
  return null;
}

function roleOf(asked: string | null): Role | null {
  const role = asked?.trim().toLowerCase() ?? 'client';
  return ROLES.find((known) => known === role) ?? (PLAIN_ROLES.includes(role) ? 'client' : null);
}

function ftpOf(fields: Fields, problems: string[]): FoundFtp | null {
  const { host, username, password, directory } = {
    host: fields.get('host') ?? '',
    username: fields.get('username') ?? fields.get('user') ?? 'anonymous',
    password: fields.get('password') ?? '',
    directory: fields.get('directory') ?? fields.get('dir') ?? '',
  };
  const port = Number(fields.get('port') || 21);
  const before = problems.length;
  if (!/^[\w.:-]+$/.test(host)) problems.push('[FTP] host must be a name or an address, without a scheme.');
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    problems.push('[FTP] port must be a number from 1 to 65535.');
  for (const [name, value] of Object.entries({ username, password, directory }))
    if (/\p{Cc}/u.test(value)) problems.push(`[FTP] ${name} holds a control character.`);
  return problems.length > before ? null : { host, port, username, password, directory };
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
