/** A certificate authority of a test, and certificates that it signs, created with openssl. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** The reason to skip the tests that need openssl; false if it is installed. */
export const noOpenssl: string | false = spawnSync('openssl', ['version']).error ? 'openssl is not installed' : false;

export interface Certificate {
  certPath: string;
  keyPath: string;
  cert: string;
  key: string;
}

/** Creates a certificate authority. */
export function authority(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'lading-ca-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  };
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', '/CN=An authority');
  let count = 0;
  return {
    caPath: join(folder, 'ca.pem'),
    ca: readFileSync(join(folder, 'ca.pem'), 'utf8'),
    /** @param names as `DNS:localhost,IP:127.0.0.1` @param days lifetime; negative for an expired certificate */
    sign(names = 'DNS:localhost,IP:127.0.0.1', days = 30): Certificate {
      count += 1;
      const [key, request, cert] = [`${count}.key`, `${count}.csr`, `${count}.pem`];
      const subject = ['-subj', '/CN=A server', '-addext', `subjectAltName=${names}`];
      openssl('req', '-new', ...fresh, '-keyout', key, '-out', request, ...subject);
      const signed = [
        '-in',
        request,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-CAcreateserial',
        '-copy_extensions',
        'copy',
      ];
      openssl('x509', '-req', ...signed, '-out', cert, '-days', String(days));
      const [certPath, keyPath] = [join(folder, cert), join(folder, key)];
      return { certPath, keyPath, cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') };
    },
  };
}
