/** Servers and helpers for the tests of FTP servers with restrictions. */
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
