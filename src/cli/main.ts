#!/usr/bin/env node
/** Entry point of the `lading` command. */
import { surviveClosedOutput } from './shared/output.ts';

surviveClosedOutput();

const [command, ...flags] = process.argv.slice(2);
// Each branch imports only what it needs: the server checks its limit of open files before it loads anything else.
if (command === 'serve') {
  const { serve } = await import('./server/serve.ts');
  await serve(flags);
} else if (command === '__complete') {
  const { printSuggestions: printKnown } = await import('./server/suggestions.ts');
  await printKnown(flags);
  process.stdout.write('', () => process.exit());
} else {
  const { program } = await import('./program.ts');
  await program().parseAsync();
  // Exit even if the network layer still holds a half-closed socket. The callback runs after the output was flushed.
  process.stdout.write('', () => process.exit());
}
