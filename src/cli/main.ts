#!/usr/bin/env node
/** Process entry of the command line. */
import { surviveClosedOutput } from './shared/output.ts';

surviveClosedOutput();

const [command, ...flags] = process.argv.slice(2);
// Each loads what it needs and no more: the server looks first whether it may open so many files.
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
  // What the network layer still holds (a socket half closed, say) must not keep a finished command from ending.
  process.stdout.write('', () => process.exit());
}
