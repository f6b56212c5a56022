/** The message of a failed start on standard error: what is wrong and what to do. */
import type { Config } from '../settings/config.ts';
import { DirectoryInUse } from '../storage/disk/directory/lock.ts';

/** One sentence without a full stop. Errors that settings, the disk or the network do not explain keep their own message. */
export function startError(error: unknown, config: Pick<Config, 'host' | 'port' | 'dataDir'>): string {
  if (!(error instanceof Error)) return String(error);
  const folder = JSON.stringify(config.dataDir);
  if (error instanceof DirectoryInUse) {
    return `the ${error.message}; stop that server, or choose another LADING_DATA_DIR (this is ${folder})`;
  }
  const code = 'code' in error ? String(error.code) : '';
  const syscall = 'syscall' in error ? String(error.syscall) : '';
  if (syscall === 'listen') return listenError(code, config) ?? error.message;
  if (syscall === 'getaddrinfo') return `LADING_HOST names a host that has no address here (${code}): "${config.host}"`;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return `the disk of the data directory ${folder} is full (${code}); make room, or choose another LADING_DATA_DIR`;
  }
  return code.startsWith('ERR_OSSL_') ? tlsError(code, error.message) : error.message;
}

function tlsError(code: string, message: string): string {
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') {
    return 'LADING_TLS_KEY is not the key of the first certificate in LADING_TLS_CERT';
  }
  return `LADING_TLS_CERT must be a certificate chain and LADING_TLS_KEY its private key without a password, both PEM (${message})`;
}

function listenError(code: string, { host, port }: Pick<Config, 'host' | 'port'>): string | null {
  const sentences: Record<string, string> = {
    EADDRINUSE: `another program listens on port ${port} of ${host} already; stop it, or choose another LADING_PORT`,
    EADDRNOTAVAIL: `this machine does not have the address ${host}; choose another LADING_HOST`,
    EACCES: `this user may not listen on port ${port}; choose a LADING_PORT of 1024 or more`,
  };
  const sentence = sentences[code];
  return sentence === undefined ? null : `${sentence} (${code})`;
}
