/** `lading completion bash|zsh|fish`: a script made from the commands themselves. */
import { Argument, type Command } from 'commander';

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
  options: { word: string; help: string; value: boolean }[];
}

export function addCompletion(root: Command): void {
  root
    .command('completion')
    .description('print a script that completes commands and options')
    .addArgument(new Argument('<shell>', 'for which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action((shell: Shell) => {
      const nodes = collect(root, []);
      const script = { bash: () => bash(nodes), zsh: () => zsh(nodes), fish: () => fish(nodes) }[shell]();
      process.stdout.write(script);
    });
}

function collect(command: Command, path: string[]): Node[] {
  const globals = command.parent === null ? [] : command.createHelp().visibleGlobalOptions(command);
  const options = [...command.options, ...globals].flatMap(({ long, description, required }) =>
    long ? [{ word: long, help: description, value: required }] : [],
  );
  const children = command.commands.map((child) => ({ word: child.name(), help: child.description() }));
  return [{ path, children, options }, ...command.commands.flatMap((child) => collect(child, [...path, child.name()]))];
}

/** Cases of the words typed so far; a command without children completes file names. */
function bash(nodes: Node[]): string {
  const cases = nodes.map(({ path, children, options }) => {
    const words = [...children.map(({ word }) => word), ...options.map(({ word }) => word)].join(' ');
    return `    "${path.join(' ')}") words="${words}" ;;`;
  });
  return `# bash completion for lading
_lading() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" word
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
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ \${#COMPREPLY[@]} -eq 0 && "$current" != -* ]]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _lading lading
`;
}

function zsh(nodes: Node[]): string {
  const quote = (text: string) => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const cases = nodes.map(({ path, children, options }) => {
    const words = [...children, ...options].map(({ word, help }) => `'${word}:${quote(help)}'`);
    return `    '${path.join(' ')}') described=(${words.join(' ')}) ;;`;
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
  const lines = nodes.flatMap(({ path, children, options }) => {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const inside = path.length === 0 ? '__fish_use_subcommand' : seen;
    return [
      ...children.map(({ word, help }) => `complete -c lading -n ${quote(inside)} -a ${word} -d ${quote(help)}`),
      ...options.map(
        ({ word, help, value }) =>
          `complete -c lading -n ${quote(inside)} -l ${word.slice(2)}${value ? ' -r' : ''} -d ${quote(help)}`,
      ),
    ];
  });
  return `# fish completion for lading\n${lines.join('\n')}\n`;
}
