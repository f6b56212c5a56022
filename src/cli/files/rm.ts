/** `lading rm NAME…` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';
import { EXIT, exitCodeOf, UsageError } from '../shared/exit.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { printable } from '../shared/terminal.ts';
import { parseEtag } from '../shared/values.ts';

interface RmOptions {
  owner?: string;
  force?: boolean;
  uploadOnly?: boolean;
  ifMatch?: string;
}

const DELETED: Record<string, string> = { file: 'file deleted', upload: 'unfinished upload cancelled' };

export function addRm(root: Command): void {
  root
    .command('rm')
    .description('delete files and cancel their uploads')
    .argument('<name...>', 'names on the server')
    .option('--owner <who>', 'owner of the files, by id or name (administrators only)')
    .option('--upload-only', 'only cancel the unfinished upload; keep the complete file')
    .option('--if-match <etag>', 'delete the file only if it is this version; for a single name', parseEtag)
    .option('-f, --force', 'ignore names that do not exist')
    .addHelpText('after', '\nExample:\n  $ lading rm camera-7/monday.wav camera-7/tuesday.wav')
    .action((names: string[], options: RmOptions, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        if (options.ifMatch !== undefined && names.length > 1)
          throw new UsageError('--if-match accepts a single name.');
        const removed: string[] = [];
        const uploads: string[] = [];
        const lines: string[] = [];
        let exitCode: number = EXIT.ok;
        for (const name of names) {
          try {
            const call = { owner, ifMatch: options.ifMatch, signal };
            const found = options.uploadOnly
              ? await client.cancel(name, call).then(() => ['upload'])
              : await client.delete(name, call);
            removed.push(name);
            if (found.includes('upload')) uploads.push(name);
            lines.push(`${printable(name)}: ${found.map((what) => DELETED[what]).join(', ')}`);
          } catch (error) {
            const code = exitCodeOf(error);
            if (code === EXIT.notFound && options.force) continue;
            if (code !== EXIT.notFound || names.length === 1) throw error;
            // Report the name and delete the others.
            out.note(`lading: ${name}: ${error instanceof Error ? error.message : error}`);
            exitCode = code;
          }
        }
        out.result(uploads.length > 0 ? { removed, uploads } : { removed }, lines.join('\n'));
        return exitCode;
      }),
    );
}
