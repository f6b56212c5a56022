/** A self-signed certificate for localhost and its key, for tests only. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUQU7rrPVWiN29sXO3ckRsUzHh7ZQwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjAyMzg1MFoYDzIxMjYxMDI5
MDIzODUwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR6fqMMJU+0LP+7OCjgl/yMe4cQ7lUPEXa/I8iUic9XXhy9yq9kiLxR
dOGoJzxhkOtNPhZLwz1gZac1TAt/aKYHo28wbTAdBgNVHQ4EFgQU1TgJOuruqtO1
t3xxEil92h6oTqgwHwYDVR0jBBgwFoAU1TgJOuruqtO1t3xxEil92h6oTqgwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAKvkO9T5h++Lk7aWS0gdYR1wEMNTW715bnI9KXqxem1kAiEA
37k8KIbRjkNW3fGOR93pFDsfTeVDB5Ml2hlztIJHRik=
-----END CERTIFICATE-----
`;

const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWO0UvlyMoB0knJZm
RG76KQx4u6ff+n2f2jQdvDMNE86hRANCAAR6fqMMJU+0LP+7OCjgl/yMe4cQ7lUP
EXa/I8iUic9XXhy9yq9kiLxRdOGoJzxhkOtNPhZLwz1gZac1TAt/aKYH
-----END PRIVATE KEY-----
`;

/** Writes certificate and key to a folder; returns the settings that name them. */
export async function tlsSettings(folder: string): Promise<{ LADING_TLS_CERT: string; LADING_TLS_KEY: string }> {
  const settings = { LADING_TLS_CERT: join(folder, 'cert.pem'), LADING_TLS_KEY: join(folder, 'key.pem') };
  await writeFile(settings.LADING_TLS_CERT, CERTIFICATE);
  await writeFile(settings.LADING_TLS_KEY, KEY, { mode: 0o600 });
  return settings;
}
