/** The command tree as completion scripts need it: the words of each command and the values that may follow. */
import type { Command } from 'commander';
import type { Kind, KindTypes, Setting } from '../../settings/settings.ts';
import type { ValueKind } from './suggestions.ts';

/** One command, such as `clients create`. */
export interface Node {
  path: string[];
  children: { word: string; help: string }[];
  options: Choice[];
  /** Fixed choices for its arguments. */
  words: string[];
  /** True when an argument is a local path. */
  files: boolean;
  /** Kind of value that the server suggests for its arguments; null for none. */
  kind: ValueKind | null;
}

/** Values of an option. Null: it takes no value. Empty list: no suggestions. */
export type Values = string[] | 'files' | { kind: ValueKind } | null;

/** An option and its values. */
export interface Choice {
  word: string;
  help: string;
  values: Values;
}

/** Matches placeholders of options that take a path. */
const PATHS = /[<[](file|directory|path)\.*[>\]]/;

/** Lists a command and all commands below it. */
export function collect(command: Command, path: string[]): Node[] {
  const at = path.join(' ');
  const globals = command.parent === null ? [] : command.createHelp().visibleGlobalOptions(command);
  const options = [...command.options, ...globals].flatMap((option): Choice[] => {
    const { long, description, required, optional, argChoices, flags } = option;
    if (!long) return [];
    const kind = kindOfOption(at, long);
    const values = argChoices ?? (kind ? { kind } : PATHS.test(flags) ? 'files' : required || optional ? [] : null);
    return [{ word: long, help: description, values }];
  });
  const children = command.commands.map((child) => ({ word: child.name(), help: child.description() }));
  const words = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const files = command.registeredArguments.some((argument) => /^(file|target)/.test(argument.name()));
  const kind = command.registeredArguments.map((argument) => kindOfArgument(at, argument.name())).find(Boolean);
  const own = { path, children, options, words, files, kind: kind ?? null };
  return [own, ...command.commands.flatMap((child) => collect(child, [...path, child.name()]))];
}

/** Kinds by the name of the argument. */
const ARGUMENTS: Readonly<Record<string, ValueKind>> = {
  client: 'client',
  user: 'person',
  tenant: 'tenant',
  who: 'who',
  grantee: 'who',
  'token-id': 'token',
  'share-id': 'share',
  'grant-id': 'grant',
};

/** Kinds of arguments named `id`, by command. */
const IDS: Readonly<Record<string, ValueKind>> = {
  'quotas show': 'who',
  'quotas set': 'who',
  'deliveries retry': 'delivery',
};

function kindOfArgument(path: string, name: string): ValueKind | null {
  if (path === 'tenants create') return null;
  if (name === 'id') return IDS[path] ?? (path.startsWith('deliveries targets ') ? 'target' : null);
  if (name === 'name') return path.startsWith('tenants') ? null : 'file';
  return ARGUMENTS[name] ?? null;
}

/** Kinds of options that mean the same in every command. */
const OPTIONS: Readonly<Record<string, ValueKind>> = {
  '--owner': 'who',
  '--user': 'who',
  '--principal': 'who',
  '--tenant': 'tenant',
};

function kindOfOption(path: string, long: string): ValueKind | null {
  if (long === '--target' && path.startsWith('deliveries')) return 'target';
  if (path === 'grants create' && (long === '--file' || long === '--prefix')) return 'file';
  if (path === 'ls' && long === '--prefix') return 'file';
  return OPTIONS[long] ?? null;
}

/** Choices for flags of the server, by kind of setting. */
const SERVER_VALUES: { [K in Kind]?: Extract<KindTypes[K], string>[] } = {
  durability: ['chunk', 'seal'],
  level: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  registration: ['open', 'closed'],
  algorithm: ['HS256', 'EdDSA', 'RS256'],
  switch: ['on', 'off'],
  voice: ['off', 'console', 'http', 'sip'],
};

/** The flags of `lading serve`, which commander does not know. */
export async function serverFlags(): Promise<Choice[]> {
  const { SETTINGS } = await import('../../settings/settings.ts');
  return SETTINGS.map((setting: Setting) => {
    const { flag, help, kind } = setting;
    const values = kind === 'path' || kind === 'file' ? 'files' : (SERVER_VALUES[kind] ?? []);
    return { word: `--${flag}`, help, values };
  });
}
