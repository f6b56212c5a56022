/** Clients that send requests and do not read the replies: pipelined over HTTP/1.1, or over HTTP/2 with closed windows or a paused socket. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { operationsOf } from '../tables/openapi.ts';

export interface Ask {
  method: string;
  path: string;
  headers?: Record<string, string>;
}

/** All requests that need no token: documented operations, pages, and paths that do not exist. */
export async function openRoutes(origin: string): Promise<Ask[]> {
  const page = await (await fetch(`${origin}/`)).text();
  const assets = [...page.matchAll(/"(?:\.?\/)?(assets\/[^"]+)"/g)].map(([, path = '']) => `/${path}`);
  const pages = ['/', '/docs', '/docs/', '/docs/static/swagger-ui-bundle.js', '/docs/static/swagger-ui.css'];
  const operations = (await operationsOf(origin)).filter(({ needs }) => needs === null);
  return [
    ...operations.map(({ method, path }) => ({ method, path: path.replaceAll(/\{[^}]*\}/g, 'x') })),
    ...[...pages, ...assets, '/openapi.json', '/none', '/api/files'].map((path) => ({ method: 'GET', path })),
  ];
}

/** Sends the requests repeatedly without reading. Resolves when the server closes the connection. */
export async function pipelineUnread(socket: Socket, asks: readonly Ask[]): Promise<void> {
  socket.pause();
  socket.on('error', () => {});
  const text = asks
    .map(({ method, path, headers = {} }) => {
      const fields = Object.entries({ host: 'localhost', 'content-length': '0', ...headers });
      return `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    })
    .join('');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const more = (): void => {
    while (!socket.destroyed && socket.write(text));
  };
  socket.on('drain', more);
  more();
  await closed;
}

/** Connects with TLS. Retries, because the handshake timeout of the server is short in these tests. */
export async function secureSocket(port: number, protocols: string[] = ['http/1.1']): Promise<TLSSocket> {
  for (;;) {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: protocols });
    socket.on('error', () => {});
    const begun = new Promise<boolean>((resolve) => {
      socket.once('secureConnect', () => resolve(true)).once('close', () => resolve(false));
    });
    if (await begun) return socket;
  }
}

/** Opens a session. Its errors are ignored, because the server ends sessions and streams with errors. */
export async function session(port: number, window: number): Promise<ClientHttp2Session> {
  const socket = await secureSocket(port, ['h2']);
  const client = connectHttp2(`https://localhost:${port}`, {
    createConnection: () => socket,
    settings: { initialWindowSize: window },
  });
  client.on('error', () => {});
  await once(client, 'remoteSettings');
  return client;
}

/** Resolves when the stream is closed. */
export async function askUnread(
  client: ClientHttp2Session,
  { method, path, headers = {} }: Ask,
  end = true,
): Promise<void> {
  const stream = client.request({ ':method': method, ':path': path, ...headers }, { endStream: end });
  stream.on('error', () => {});
  await once(stream, 'close');
}

/** An HTTP/2 connection that stops reading after the preface. @param window the window of the streams and the connection */
export async function rawSession(port: number, window = 65_535): Promise<TLSSocket> {
  const socket = await secureSocket(port, ['h2']);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.pause();
  const setting = Buffer.alloc(6);
  setting.writeUInt16BE(4);
  setting.writeUInt32BE(window, 2);
  socket.write(frame(4, 0, 0, setting));
  const more = Buffer.alloc(4);
  more.writeUInt32BE(Math.max(1, window - 65_535));
  socket.write(frame(8, 0, 0, more));
  return socket;
}

/** The frame of a GET without a body (RFC 7541 §6.2.2). */
export function requestFrame(stream: number, path: string): Buffer {
  const fields = [Buffer.from([0x82, 0x87, 0x01, 1, 0x61, 0x04, path.length]), Buffer.from(path, 'latin1')];
  return frame(1, 5, stream, Buffer.concat(fields));
}

/** Encodes a frame (RFC 9113 §4.1). */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
