/** Completion scripts. They request values from the server with `lading __complete`; the shell never expands those values. */
import type { Choice, Node, Values } from './completion-tree.ts';

function kindOf(values: Values): string | null {
  return values !== null && typeof values === 'object' && 'kind' in values ? values.kind : null;
}

function wordsOf(values: Values): string[] {
  return Array.isArray(values) ? values : [];
}

/** One case per option with values: `--role) words="client ops …"`. */
function valueCases(options: readonly Choice[]): string {
  return options
    .flatMap(({ word, values }) => {
      if (values === null) return [];
      const kind = kindOf(values);
      if (kind !== null) return [`${word}) words="" asked=${kind} value=1`];
      return values === 'files'
        ? [`${word}) files=1`]
        : [`${word}) words="${wordsOf(values).join(' ')}" asked="" value=1`];
    })
    .join(' ;; ');
}

/** The script has one case per command path, and within it one per option whose value is being typed. */
export function bash(nodes: Node[]): string {
  const cases = nodes.map(({ path, children, options, words: choices, files, kind: asked }) => {
    const words = [...children.map(({ word }) => word), ...choices, ...options.map(({ word }) => word)].join(' ');
    const values = valueCases(options);
    const after = values === '' ? '' : ` case "$previous" in ${values} ;; esac`;
    return `    "${path.join(' ')}") words="${words}" others=${files ? 1 : ''} asked=${asked ?? ''};${after} ;;`;
  });
  return `# bash completion for lading
_lading() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path="" words="" word files="" value="" others="" asked="" typed line
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
  local IFS=$'\\n'
  if [[ -z "$files" ]]; then COMPREPLY=($(compgen -W "\${words// /$'\\n'}" -- "$current")); fi
  if [[ -n "$asked" && -z "$files" && "$current" != -* ]]; then
    # Use the word as typed, without quotes: bash splits words at colons.
    typed="$current"; line="\${COMP_LINE:0:\${COMP_POINT:-0}}"; line="\${line##*[[:space:]]}"
    if [[ "$line" == *:* && "$line" == *"$current" ]]; then typed="$line"; fi
    typed="\${typed//\\\\/}"; typed="\${typed#[\\"\\']}"
    while IFS= read -r word; do
      if [[ "$line" == *:* ]]; then word="\${word#"\${typed%"\${current//\\\\/}"}"}"; fi
      COMPREPLY+=("$word")
    done < <("\${COMP_WORDS[0]}" __complete "$asked" "$typed" "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null </dev/null)
    if [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == */ ]]; then compopt -o nospace 2>/dev/null; fi
  fi
  if [[ -n "$files" || ( -n "$others" && -z "$value" && "$current" != -* && \${#COMPREPLY[@]} -eq 0 ) ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _lading lading
`;
}

/** The zsh script, which shows the description of each word. */
export function zsh(nodes: Node[]): string {
  const quote = (text: string) => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const cases = nodes.map(({ path, children, options, words: choices, files, kind: asked }) => {
    const all = [...children, ...choices.map((word) => ({ word, help: '' })), ...options];
    const words = all.map(({ word, help }) => `'${word}${help === '' ? '' : `:${quote(help)}`}'`);
    const values = options.flatMap(({ word, values }) => {
      if (values === null) return [];
      const kind = kindOf(values);
      if (kind !== null) return [`${word}) _lading_ask ${kind}; return`];
      const known = wordsOf(values).map((value) => ` ${value}`);
      return values === 'files' ? [`${word}) _files; return`] : [`${word}) compadd --${known.join('')}; return`];
    });
    const after = values.length === 0 ? '' : ` case "$words[CURRENT-1]" in ${values.join(' ;; ')} ;; esac`;
    const rest = `${asked === null ? '' : ` asked=${asked}`}${files ? ' files=1' : ''}`;
    return `    '${path.join(' ')}') described=(${words.join(' ')})${rest};${after} ;;`;
  });
  const known = nodes.filter(({ path }) => path.length > 0).map(({ path }) => `'${path.join(' ')}'`);
  return `#compdef lading
_lading_ask() {
  local -a found
  found=("\${(@f)$("\${(Q)words[1]}" __complete "$1" "\${(Q)PREFIX}" "\${(@Q)words[2,CURRENT-1]}" 2>/dev/null </dev/null)}")
  found=("\${(@)found:#}")
  compadd -- "\${(@)found:#*/}"
  compadd -S '' -- "\${(@M)found:#*/}"
}
_lading() {
  local -a described known
  local at="" next word asked="" files=""
  known=(${known.join(' ')})
  for word in \${words[2,CURRENT-1]}; do
    next="\${at:+$at }$word"
    if (( \${known[(Ie)$next]} )); then at="$next"; fi
  done
  case "$at" in
${cases.join('\n')}
  esac
  if [[ -n "$asked" && "$PREFIX" != -* ]]; then _lading_ask "$asked"; fi
  _describe 'lading' described
  if [[ -n "$files" || -z "$at" ]]; then _files; fi
}
if [ "$funcstack[1]" = "_lading" ]; then _lading "$@"; else compdef _lading lading; fi
`;
}

/** The fish script: one `complete` command per word. */
export function fish(nodes: Node[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const ask = (kind: string) => quote(`(__lading_ask ${kind})`);
  const lines = nodes.flatMap(({ path, children, options, words: choices, files, kind: asked }) => {
    const inside = quote(`__lading_at ${path.join(' ')}`.trim());
    return [
      ...(files || path.length === 0 ? [] : [`complete -c lading -n ${inside} -f`]),
      ...children.map(({ word, help }) => `complete -c lading -n ${inside} -a ${word} -d ${quote(help)}`),
      ...choices.map((word) => `complete -c lading -n ${inside} -a ${word}`),
      ...(asked === null ? [] : [`complete -c lading -n ${inside} -a ${ask(asked)}`]),
      ...options.map(({ word, help, values }) => {
        const kind = kindOf(values);
        const known = kind === null ? quote(wordsOf(values).join(' ')) : ask(kind);
        const value = values === null ? '' : values === 'files' ? ' -r -F' : ` -x -a ${known}`;
        return `complete -c lading -n ${inside} -l ${word.slice(2)}${value} -d ${quote(help)}`;
      }),
    ];
  });
  const known = nodes.filter(({ path }) => path.length > 0).map(({ path }) => quote(path.join(' ')));
  return `# fish completion for lading
set -g __lading_commands ${known.join(' ')}
function __lading_at
  set -l at
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$at $word")
    if contains -- $next $__lading_commands
      set at $next
    end
  end
  test "$at" = "$argv"
end
function __lading_ask
  set -l words (commandline -opc)
  $words[1] __complete $argv[1] (commandline -ct | string unescape) $words[2..-1] 2>/dev/null </dev/null
end
${lines.join('\n')}
`;
}
