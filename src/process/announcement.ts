/** The lines on standard output when the server starts. */

import type { FirstAdmin } from '../identity/directory/bootstrap.ts';
import type { Config } from '../settings/config.ts';

export interface Started {
  config: Pick<Config, 'tls' | 'host' | 'publicUrl'>;
  /** Scheme, host and port, as the server listens. */
  address: string;
}

/** Hosts that mean all interfaces. */
const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '[::]', '[::ffff:0.0.0.0]']);

/** Lines that show the first administrator when it is created. */
export function firstAdminLines({ id, secret }: FirstAdmin): string[] {
  return [
    'First administrator (shown only once, so save it now):',
    `  client id      ${id}`,
    `  client secret  ${secret}`,
  ];
}

/** Lines that show the addresses of the server after its start. */
export function announcement({ config, address }: Started): string[] {
  const { hostname } = new URL(address);
  const everywhere = EVERYWHERE.has(hostname);
  const here = everywhere ? address.replace(hostname, 'localhost') : address;
  const lines = [`Lading listens on ${address}`, `Dashboard: ${config.publicUrl ?? here}/`];
  if (everywhere && config.tls === null) {
    lines.push(
      'Plain HTTP on all interfaces: anybody on the network can read passwords and files. ' +
        'Set LADING_TLS_CERT and LADING_TLS_KEY for HTTPS, or LADING_HOST=127.0.0.1 to listen on this machine alone.',
    );
  }
  return lines;
}
