/** What the tests of ftp-hostile share. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { type FtpOptions, type FtpServer, noFtpServer, startFtpServer } from '../../support/servers/ftp-server.ts';

export const QUICK = { LADING_DELIVERY_RETRY_SECONDS: '1' };

export const skip = noFtpServer;

export const NAMED = { pattern: '{name}' };

export async function begin(t: TestContext, options: FtpOptions = {}, settings: Record<string, string> = {}) {
  const ftp = await startFtpServer(t, options);
  const server = await startServer(t, { ...QUICK, ...settings });
  return { ftp, server };
}

/** Everything in the folder of a server, names of its own included. */
export async function everything({ home }: FtpServer): Promise<string[]> {
  return (await readdir(home)).sort();
}

/** Waits until a file is half there under a temporary name. */
export async function halfThere({ home }: FtpServer, least: number): Promise<string> {
  let found = '';
  await eventually(async () => {
    for (const name of await readdir(home)) {
      const size = await stat(join(home, name)).then(
        (one) => one.size,
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

export const DENIED = (...commands: string[]): string[] => [`<Limit ${commands.join(' ')}>`, 'DenyAll', '</Limit>'];
