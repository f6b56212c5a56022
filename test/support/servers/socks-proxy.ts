/** A SOCKS proxy on loopback for versions 4, 4a and 5 (RFC 1928, RFC 1929). It supports CONNECT only. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface SocksProxy {
  /** `127.0.0.1:PORT`, without a scheme. */
  host: string;
  /** The requests in order: `5 name localhost:8005`, `4 address 127.0.0.1:8005`. */
  seen: string[];
  /** A reply code that refuses every request (RFC 1928 §6). */
  refuse: number | null;
  /** The required credentials as `name:password`. */
  login: string | null;
}

export async function startSocksProxy(t: TestContext): Promise<SocksProxy> {
  const proxy: SocksProxy = { host: '', seen: [], refuse: null, login: null };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    serve(proxy, socket, sockets).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return proxy;
}

async function serve(proxy: SocksProxy, socket: Socket, sockets: Set<Socket>): Promise<void> {
  socket.on('error', () => {});
  const take = reader(socket);
  const [version = 0] = await take(1);
  if (version !== 4 && version !== 5) throw new Error('not a SOCKS request');
  const target = version === 5 ? await fifth(proxy, socket, take) : await fourth(take);
  proxy.seen.push(`${version} ${target.kind} ${target.host}:${target.port}`);
  const reply = (code: number) =>
    version === 5
      ? Buffer.from([5, code, 0, 1, 127, 0, 0, 1, 0, 0])
      : Buffer.from([0, code === 0 ? 90 : 91, 0, 0, 0, 0, 0, 0]);
  if (proxy.refuse !== null) {
    socket.end(reply(proxy.refuse));
    return;
  }
  const onward = connect(target.port, target.host);
  sockets.add(onward);
  onward.on('error', () => socket.end(reply(5)));
  await once(onward, 'connect');
  socket.write(reply(0));
  onward.pipe(socket).pipe(onward);
}

type Take = (count: number) => Promise<Buffer>;

async function fifth(proxy: SocksProxy, socket: Socket, take: Take) {
  const [methods = 0] = await take(1);
  const offered = await take(methods);
  const method = proxy.login === null ? 0 : 2;
  if (!offered.includes(method)) {
    socket.end(Buffer.from([5, 0xff]));
    throw new Error('no common authentication method');
  }
  socket.write(Buffer.from([5, method]));
  if (method === 2) {
    await take(1);
    const name = await take((await take(1))[0] ?? 0);
    const password = await take((await take(1))[0] ?? 0);
    const right = `${name}:${password}` === proxy.login;
    socket.write(Buffer.from([1, right ? 0 : 1]));
    if (!right) throw new Error('wrong password');
  }
  const [, , , type] = await take(4);
  const kind = type === 3 ? 'name' : 'address';
  const raw = await take(type === 3 ? ((await take(1))[0] ?? 0) : type === 4 ? 16 : 4);
  const host =
    type === 3 ? raw.toString() : type === 4 ? (raw.toString('hex').match(/.{4}/g) ?? []).join(':') : raw.join('.');
  return { kind, host, port: (await take(2)).readUInt16BE() };
}

async function fourth(take: Take) {
  await take(1);
  const port = (await take(2)).readUInt16BE();
  const address = (await take(4)).join('.');
  await text(take);
  if (!/^0\.0\.0\.[1-9]/.test(address)) return { kind: 'address', host: address, port };
  return { kind: 'name', host: await text(take), port };
}

/** Reads up to the next zero byte. */
async function text(take: Take): Promise<string> {
  let all = '';
  for (;;) {
    const [byte = 0] = await take(1);
    if (byte === 0) return all;
    all += String.fromCharCode(byte);
  }
}

/** Reads exactly `count` bytes and leaves the rest in the socket. */
function reader(socket: Socket): Take {
  return async (count) => {
    if (count === 0) return Buffer.alloc(0);
    for (;;) {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes !== null) return bytes;
      if (socket.readableEnded || socket.destroyed) throw new Error('the connection broke');
      await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
    }
  };
}
