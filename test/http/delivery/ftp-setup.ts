/** Servers and settings for the tests of deliveries by FTP. */
import type { TestContext } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { noFtpServer, startFtpServer } from '../../support/servers/ftp-server.ts';

export const QUICK = { LADING_DELIVERY_RETRY_SECONDS: '1' };

export const skip = noFtpServer;

export async function begin(t: TestContext, settings: Record<string, string> = {}) {
  const ftp = await startFtpServer(t);
  const server = await startServer(t, { ...QUICK, ...settings });
  return { ftp, server };
}
