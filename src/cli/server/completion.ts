/** `lading completion bash|zsh|fish`: a script that is generated from the command tree. */
import { Argument, type Command } from 'commander';
import { bash, fish, zsh } from './completion-scripts.ts';
import { collect, serverFlags } from './completion-tree.ts';

type Shell = 'bash' | 'zsh' | 'fish';

const HELP = `
Examples:
  $ lading completion bash > /etc/bash_completion.d/lading
  $ lading completion zsh > "\${fpath[1]}/_lading"
  $ lading completion fish > ~/.config/fish/completions/lading.fish`;

export function addCompletion(root: Command): void {
  root
    .command('completion')
    .description('print a completion script for commands, options and values from the server')
    .addArgument(new Argument('<shell>', 'shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action(async (shell: Shell) => {
      const nodes = collect(root, []);
      const serve = nodes.find(({ path }) => path.join(' ') === 'serve');
      serve?.options.push(...(await serverFlags()));
      const script = { bash: () => bash(nodes), zsh: () => zsh(nodes), fish: () => fish(nodes) }[shell]();
      process.stdout.write(script);
    });
}
