/** An HTTP proxy on loopback that opens tunnels (CONNECT) and, unless disabled, forwards plain requests. */
import { once } from 'node:events';
import { request as ask, createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface ConnectProxy {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** The request lines in order: `CONNECT host:port` or `POST http://…`. */
  seen: string[];
  /** A status that refuses every CONNECT. */
  refuse: number | null;
  /** The required value of `Proxy-Authorization`. */
  authorization: string | null;
}

export async function startConnectProxy(t: TestContext): Promise<ConnectProxy> {
  const sockets = new Set<Socket>();
  const proxy: ConnectProxy = { url: '', seen: [], refuse: null, authorization: null };
  const server = createServer((request, response) => {
    proxy.seen.push(`${request.method} ${request.url}`);
    const onward = ask(request.url ?? '', { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('connect', (request, socket, head) => {
    proxy.seen.push(`CONNECT ${request.url}`);
    const known = proxy.authorization === null || request.headers['proxy-authorization'] === proxy.authorization;
    const refused = known ? proxy.refuse : 407;
    if (refused !== null) {
      socket.end(`HTTP/1.1 ${refused} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    sockets.add(onward);
    onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return proxy;
}
