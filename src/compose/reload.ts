/** Reloads the TLS certificate and reopens the log file without a restart (SIGHUP). */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { replaceCertificate } from '../http/connection/listener.ts';
import type { LogOutput } from '../http/observe/log-output.ts';
import type { Config } from '../settings/config.ts';
import { readTls } from '../settings/load-config.ts';

export interface ReloadDeps {
  config: Config;
  log: Logger;
  output: LogOutput;
  server: FastifyInstance;
}

/** Reloads the certificate and its key for new connections, and reopens the log file. Logs failures and keeps the old ones. */
export function reload({ config, log, output, server }: ReloadDeps): void {
  try {
    output.reopen();
  } catch (error) {
    log.error({ err: error }, 'the log file could not be reopened; the old one stays in use');
  }
  try {
    const tls = readTls(config);
    if (tls !== null) replaceCertificate(server.server, tls);
  } catch (error) {
    log.error({ err: error }, 'the TLS certificate could not be read; the old one stays in use');
    return;
  }
  log.info({ tls: config.tls !== null, log_file: config.logFile }, 'reloaded');
}
