#!/usr/bin/env node
/** Process entry of the command line. */
import { outliveReaders } from './output.ts';
import { program } from './program.ts';
import { serve } from './serve.ts';

outliveReaders();

const [command, ...flags] = process.argv.slice(2);
if (command === 'serve') await serve(flags);
else {
  await program().parseAsync();
  // What the network layer still holds (a socket half closed, say) must not keep a finished command from ending.
  process.stdout.write('', () => process.exit());
}
