/** Servers and settings for the tests of deliveries by FTP. */
import type { TestContext } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { type FtpOptions, noFtpServer, startFtpServer } from '../../support/servers/ftp-server.ts';

export const QUICK = { LADING_DELIVERY_RETRY_SECONDS: '1' };

export const skip = noFtpServer;

/** Starts an FTP server with these options, and a server with these settings and short pauses between attempts. */
export async function begin(t: TestContext, options: FtpOptions = {}, settings: Record<string, string> = {}) {
  const ftp = await startFtpServer(t, options);
  const server = await startServer(t, { ...QUICK, ...settings });
  return { ftp, server };
}
