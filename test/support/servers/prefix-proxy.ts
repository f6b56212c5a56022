/** A proxy that serves below a path and removes that path, as `location /drive/ { proxy_pass http://lading/; }` does. */
import { once } from 'node:events';
import { createServer, request as requestTo } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/**
 * Resolves with the public URL of the server, which ends with a slash.
 * @param prefix begins with a slash and does not end with one
 * @param tells whether the proxy sends X-Forwarded-Prefix
 */
export async function startPrefixProxy(
  t: TestContext,
  port: number,
  prefix: string,
  { tells }: { tells: boolean },
): Promise<string> {
  const proxy = createServer((request, response) => {
    const { method, url = '', headers } = request;
    if (!url.startsWith(`${prefix}/`)) {
      request.resume();
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not below the path');
      return;
    }
    const prefixFields = tells ? { 'x-forwarded-prefix': prefix } : {};
    const forwarded = { ...headers, ...prefixFields, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' };
    const path = url.slice(prefix.length);
    const onward = requestTo({ port, host: '127.0.0.1', method, path, headers: forwarded }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${prefix}/`;
}
