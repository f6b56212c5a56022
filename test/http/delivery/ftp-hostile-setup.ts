/** Helpers for the tests of FTP servers with restrictions. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.ts';
import type { FtpServer } from '../../support/servers/ftp-server.ts';

export const NAMED = { pattern: '{name}' };

/** The sorted names in the directory of an FTP server, temporary and hidden ones included. */
export async function everything({ home }: FtpServer): Promise<string[]> {
  return (await readdir(home)).sort();
}

/** Waits until at least `least` bytes of a file are stored under a temporary name; returns that name. */
export async function partlySent({ home }: FtpServer, least: number): Promise<string> {
  let found = '';
  await eventually(async () => {
    for (const name of await readdir(home)) {
      const size = await stat(join(home, name)).then(
        (stats) => stats.size,
        () => 0,
      );
      if (name.endsWith('.part') && size >= least) found = name;
    }
    return found !== '';
  }, 'the middle of a transfer');
  return found;
}

export const large = Buffer.alloc(6 * 1024 * 1024, 'what is sent on ');

export const SLOW = { kilobytesPerSecond: 2048 };

/** Lines of a proftpd configuration that forbid these commands. */
export const DENIED = (...commands: string[]): string[] => [`<Limit ${commands.join(' ')}>`, 'DenyAll', '</Limit>'];
