/** `lading completion bash|zsh|fish`: a script made from the commands themselves. */
import { Argument, type Command } from 'commander';
import type { Kind, KindTypes, Setting } from '../settings.ts';

type Shell = 'bash' | 'zsh' | 'fish';

const HELP = `
Examples:
  $ lading completion bash > /etc/bash_completion.d/lading
  $ lading completion zsh > "\${fpath[1]}/_lading"
  $ lading completion fish > ~/.config/fish/completions/lading.fish`;

/** One command as a shell sees it: `clients create`, its words and what they mean. */
interface Node {
  path: string[];
  children: { word: string; help: string }[];
  options: Choice[];
  /** What its arguments may be; files where nothing is said of them. */
  words: string[];
  files: boolean;
}

/** An option. */
interface Choice {
  word: string;
  help: string;
  /** Null: it takes no value. Empty: one that cannot be known. */
  values: string[] | 'files' | null;
}

/** Values whose names say that they are paths. */
const PATHS = /[<[](file|folder|path)\.*[>\]]/;

export function addCompletion(root: Command): void {
  root
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>', 'for which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action(async (shell: Shell) => {
      const nodes = collect(root, []);
      const serve = nodes.find(({ path }) => path.join(' ') === 'serve');
      serve?.options.push(...(await serverFlags()));
      const script = { bash: () => bash(nodes), zsh: () => zsh(nodes), fish: () => fish(nodes) }[shell]();
      process.stdout.write(script);
    });
}

function collect(command: Command, path: string[]): Node[] {
  const globals = command.parent === null ? [] : command.createHelp().visibleGlobalOptions(command);
  const options = [...command.options, ...globals].flatMap((option): Choice[] => {
    const { long, description, required, optional, argChoices, flags } = option;
    if (!long) return [];
    const values = argChoices ?? (PATHS.test(flags) ? 'files' : required || optional ? [] : null);
    return [{ word: long, help: description, values }];
  });
  const children = command.commands.map((child) => ({ word: child.name(), help: child.description() }));
  const words = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const files = command.registeredArguments.some((argument) => /^(file|target)/.test(argument.name()));
  const own = { path, children, options, words, files };
  return [own, ...command.commands.flatMap((child) => collect(child, [...path, child.name()]))];
}

/** What the flags of the server may be set to, by their kind. */
const SERVER_VALUES: { [K in Kind]?: Extract<KindTypes[K], string>[] } = {
  durability: ['chunk', 'seal'],
  level: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  registration: ['open', 'closed'],
  algorithm: ['HS256', 'EdDSA', 'RS256'],
  switch: ['on', 'off'],
  voice: ['off', 'console', 'http', 'sip'],
};

/** Those of `lading serve`, which are read by the server itself. */
async function serverFlags(): Promise<Choice[]> {
  const { SETTINGS } = await import('../settings.ts');
  return SETTINGS.map((setting: Setting) => {
    const { flag, help, kind } = setting;
    const values = kind === 'path' || kind === 'file' ? 'files' : (SERVER_VALUES[kind] ?? []);
    return { word: `--${flag}`, help, values };
  });
}

/** Options by what their values are: `--role) words="client ops …"`. */
function valueCases(options: readonly Choice[]): string {
  return options
    .flatMap(({ word, values }) => {
      if (values === null) return [];
      return values === 'files' ? [`${word}) files=1`] : [`${word}) words="${values.join(' ')}"; value=1`];
    })
    .join(' ;; ');
}

/** Cases of the words typed so far, and of the option whose value is being typed. */
function bash(nodes: Node[]): string {
  const cases = nodes.map(({ path, children, options, words: choices, files }) => {
    const words = [...children.map(({ word }) => word), ...choices, ...options.map(({ word }) => word)].join(' ');
    const values = valueCases(options);
    const after = values === '' ? '' : ` case "$previous" in ${values} ;; esac`;
    return `    "${path.join(' ')}") words="${words}" others=${files ? 1 : ''};${after} ;;`;
  });
  return `# bash completion for lading
_lading() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path="" words="" word files="" value="" others=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
${nodes
  .filter(({ path }) => path.length > 0)
  .map(({ path }) => `      "${path.length === 1 ? ` ${path[0]}` : path.join(' ')}") path="${path.join(' ')}" ;;`)
  .join('\n')}
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=()
  local IFS=$'\n'
  if [[ -z "$files" ]]; then COMPREPLY=($(compgen -W "\${words// /$'\n'}" -- "$current")); fi
  if [[ -n "$files" || ( -n "$others" && -z "$value" && "$current" != -* && \${#COMPREPLY[@]} -eq 0 ) ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _lading lading
`;
}

function zsh(nodes: Node[]): string {
  const quote = (text: string) => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const cases = nodes.map(({ path, children, options, words: choices }) => {
    const all = [...children, ...choices.map((word) => ({ word, help: '' })), ...options];
    const words = all.map(({ word, help }) => `'${word}${help === '' ? '' : `:${quote(help)}`}'`);
    const values = options.flatMap(({ word, values }) => {
      if (values === null) return [];
      return values === 'files' ? [`${word}) _files; return`] : [`${word}) compadd -- ${values.join(' ')}; return`];
    });
    const after = values.length === 0 ? '' : ` case "$words[CURRENT-1]" in ${values.join(' ;; ')} ;; esac`;
    return `    '${path.join(' ')}') described=(${words.join(' ')});${after} ;;`;
  });
  const known = nodes.filter(({ path }) => path.length > 0).map(({ path }) => `'${path.join(' ')}'`);
  return `#compdef lading
_lading() {
  local -a described known
  local at="" next word
  known=(${known.join(' ')})
  for word in \${words[2,CURRENT-1]}; do
    next="\${at:+$at }$word"
    if (( \${known[(Ie)$next]} )); then at="$next"; fi
  done
  case "$at" in
${cases.join('\n')}
  esac
  _describe 'lading' described
  _files
}
if [ "$funcstack[1]" = "_lading" ]; then _lading "$@"; else compdef _lading lading; fi
`;
}

function fish(nodes: Node[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = nodes.flatMap(({ path, children, options, words: choices }) => {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const inside = path.length === 0 ? '__fish_use_subcommand' : seen;
    return [
      ...children.map(({ word, help }) => `complete -c lading -n ${quote(inside)} -a ${word} -d ${quote(help)}`),
      ...choices.map((word) => `complete -c lading -n ${quote(inside)} -a ${word}`),
      ...options.map(({ word, help, values }) => {
        const value = values === null ? '' : values === 'files' ? ' -r -F' : ` -x -a ${quote(values.join(' '))}`;
        return `complete -c lading -n ${quote(inside)} -l ${word.slice(2)}${value} -d ${quote(help)}`;
      }),
    ];
  });
  return `# fish completion for lading\n${lines.join('\n')}\n`;
}
