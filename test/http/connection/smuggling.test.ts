/**
 * Known request smuggling attacks. Each is sent to Lading and to nginx, followed by a valid request. Lading must not see a request that nginx
 * does not see, and must refuse every message that nginx refuses. Then both agree on where a request ends.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { hasNginx, startNginx } from '../../support/servers/plain-nginx.ts';

const HOST = 'Host: a\r\n';
/** The hidden request of an attacker. A separate answer shows that it was parsed as a request. */
const HIDDEN = `GET /health HTTP/1.1\r\n${HOST}\r\n`;
const CHUNKED = `${Buffer.byteLength(HIDDEN).toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;

function post(fields: string, body: string, host = HOST): string {
  return `POST /target HTTP/1.1\r\n${host}${fields}\r\n\r\n${body}`;
}

/** TE.TE: spellings that one side may parse as chunked and the other not, with a Content-Length. */
const SPELLINGS = [
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  ' Transfer-Encoding: chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding:\x0bchunked',
  'Transfer-Encoding: \x00chunked',
  'Transfer-Encoding: chunked\x00',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: Chunked',
  'Transfer-Encoding: chunked;a=b',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: cow, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding\r\n : chunked',
  'Transfer-Encoding: chunked\r\n cow',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'Transfer-Encoding: ch\u00fcnked',
  'Transfer-Encoding:chunked',
  'Transfer-Encoding: ,chunked',
  'Transfer_Encoding: chunked',
  'Transfer-Encoding\x00: chunked',
];

const SHAPES: Record<string, string> = {
  'CL.TE': post(`Content-Length: ${CHUNKED.length}\r\nTransfer-Encoding: chunked`, CHUNKED),
  'CL.TE, short': post('Content-Length: 5\r\nTransfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`),
  'TE.CL': post('Transfer-Encoding: chunked\r\nContent-Length: 4', CHUNKED),
  'CL.0': post(`Content-Length: ${HIDDEN.length}`, HIDDEN),
  'CL.0, GET': `GET /target HTTP/1.1\r\n${HOST}Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  'CL.0, HEAD': `HEAD /target HTTP/1.1\r\n${HOST}Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  '0.CL': post(`Content-Length: 0\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'TE.0': post('Transfer-Encoding: chunked', CHUNKED),
  'TE.0, GET': `GET /target HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  'TE.0, OPTIONS': `OPTIONS /target HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  'two lengths': post(`Content-Length: 3\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'two equal lengths': post(`Content-Length: ${HIDDEN.length}\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'a list of lengths': post(`Content-Length: ${HIDDEN.length}, ${HIDDEN.length}`, HIDDEN),
  'a length with a sign': post(`Content-Length: +${HIDDEN.length}`, HIDDEN),
  'a negative length': post('Content-Length: -1', HIDDEN),
  'a hexadecimal length': post('Content-Length: 0x5', HIDDEN),
  'a length with a space in it': post('Content-Length: 4 4', HIDDEN),
  'a length with letters': post('Content-Length: 4a', HIDDEN),
  'a length beyond 64 bits': post('Content-Length: 18446744073709551620', HIDDEN),
  'an empty length': post('Content-Length:', HIDDEN),
  'a space before the colon': post(`Content-Length : ${HIDDEN.length}`, HIDDEN),
  'a folded length': post(`Content-Length:\r\n ${HIDDEN.length}`, HIDDEN),
  'a length with an underscore': post(`Content_Length: ${HIDDEN.length}`, HIDDEN),
  'a fold first of all': `POST /target HTTP/1.1\r\n ${HOST}Content-Length: 0\r\n\r\n${HIDDEN}`,
  'chunk extension': post('Transfer-Encoding: chunked', `5;a=b\r\nhello\r\n0\r\n\r\n`),
  'chunk extension with a bare LF': post('Transfer-Encoding: chunked', `5;a\nxx\r\nhello\r\n0\r\n\r\n`),
  'chunk extension that never ends': post(
    'Transfer-Encoding: chunked',
    `5;${'a'.repeat(40_000)}\r\nhello\r\n0\r\n\r\n`,
  ),
  'chunk size with a bare LF': post('Transfer-Encoding: chunked', `5\nhello\r\n0\r\n\r\n`),
  'chunk size with a bare CR': post('Transfer-Encoding: chunked', `5\rhello\r\n0\r\n\r\n`),
  'chunk size beyond 64 bits': post('Transfer-Encoding: chunked', `10000000000000005\r\nhello\r\n0\r\n\r\n`),
  'chunk size with 0x': post('Transfer-Encoding: chunked', `0x5\r\nhello\r\n0\r\n\r\n`),
  'chunk size with a sign': post('Transfer-Encoding: chunked', `+5\r\nhello\r\n0\r\n\r\n`),
  'chunk size with an underscore': post('Transfer-Encoding: chunked', `0_5\r\nhello\r\n0\r\n\r\n`),
  'chunk size with a space behind': post('Transfer-Encoding: chunked', `5 \r\nhello\r\n0\r\n\r\n`),
  'chunk size with a space before': post('Transfer-Encoding: chunked', ` 5\r\nhello\r\n0\r\n\r\n`),
  'empty chunk size': post('Transfer-Encoding: chunked', `\r\nhello\r\n0\r\n\r\n`),
  'chunk data too long': post('Transfer-Encoding: chunked', `5\r\nhelloXX\r\n0\r\n\r\n`),
  'chunk data with a bare LF': post('Transfer-Encoding: chunked', `5\r\nhello\n0\r\n\r\n`),
  'chunk data with two other bytes': post('Transfer-Encoding: chunked', `5\r\nhelloXX0\r\n\r\n`),
  'last chunk with a bare LF': post('Transfer-Encoding: chunked', `5\r\nhello\r\n0\n\n`),
  'last chunk of many zeros': post('Transfer-Encoding: chunked', `5\r\nhello\r\n0000000000000\r\n\r\n`),
  'trailer with a length': post('Transfer-Encoding: chunked', `0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n`),
  'trailer without a colon': post('Transfer-Encoding: chunked', `0\r\nnonsense\r\n\r\n`),
  'HTTP/1.0 with chunked': `POST /target HTTP/1.0\r\n${HOST}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  'bare LF as line ends': `POST /target HTTP/1.1\n${HOST}Content-Length: 5\n\nhello`,
  'bare LF before the body': `POST /target HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\nhello`,
  'bare CR in a value': post('X: a\rContent-Length: 5', 'hello'),
  'NUL in a value': post('X: a\x00b\r\nContent-Length: 5', 'hello'),
  'NUL in a name': post('X\x00: a\r\nContent-Length: 5', 'hello'),
  'a line without a colon': post('nonsense\r\nContent-Length: 5', 'hello'),
  'a line without a name': post(': x\r\nContent-Length: 5', 'hello'),
  'two hosts': post('Content-Length: 0', '', 'Host: a\r\nHost: b\r\n'),
  'no host': post('Content-Length: 0', '', ''),
  'a host with a space': post('Content-Length: 0', '', 'Host: a b\r\n'),
  'a space behind Host': post('Content-Length: 0', '', 'Host : a\r\n'),
  'a line between requests': `\r\n\r\nGET /target HTTP/1.1\r\n${HOST}\r\n`,
  'two spaces in the request line': `GET  /target HTTP/1.1\r\n${HOST}\r\n`,
  'a tab in the request line': `GET\t/target HTTP/1.1\r\n${HOST}\r\n`,
  'a request line without a version': `GET /target\r\n${HOST}\r\n`,
  'a version of its own': `GET /target HTTP/1.10\r\n${HOST}\r\n`,
  'HTTP/2.0 in plain text': `GET /target HTTP/2.0\r\n${HOST}\r\n`,
  'the preface of HTTP/2': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
  'an upgrade to HTTP/2': `GET /target HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
  'an upgrade with a body': post(
    `Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${HIDDEN.length}`,
    HIDDEN,
  ),
  'Connection names the length': post(`Connection: Content-Length\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'Expect and a body at once': post(`Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'Expect that nobody knows': post(`Expect: y 100-continue\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'chunk extension in quotes': post('Transfer-Encoding: chunked', `5;a="b;c"\r\nhello\r\n0\r\n\r\n`),
  'chunk extension with a line in quotes': post(
    'Transfer-Encoding: chunked',
    `5;a="\r\n${HIDDEN}"\r\nhello\r\n0\r\n\r\n`,
  ),
  'chunk extension with a bare CR': post('Transfer-Encoding: chunked', `5;a\rb\r\nhello\r\n0\r\n\r\n`),
  'chunk extension of the last chunk with a bare LF': post('Transfer-Encoding: chunked', `5\r\nhello\r\n0;a\n\r\n`),
  'chunk extension without a name': post('Transfer-Encoding: chunked', `5;\r\nhello\r\n0\r\n\r\n`),
  'chunk extension behind white space': post('Transfer-Encoding: chunked', `5 ;a=b\r\nhello\r\n0\r\n\r\n`),
  'chunk size with many zeros before': post('Transfer-Encoding: chunked', `${'0'.repeat(40)}5\r\nhello\r\n0\r\n\r\n`),
  'chunk size with a NUL': post('Transfer-Encoding: chunked', `5\x00\r\nhello\r\n0\r\n\r\n`),
  'chunk size with a tab': post('Transfer-Encoding: chunked', `5\t\r\nhello\r\n0\r\n\r\n`),
  'chunk size of 17 digits': post('Transfer-Encoding: chunked', `00000000000000005\r\nhello\r\n0\r\n\r\n`),
  'a negative chunk size': post('Transfer-Encoding: chunked', `-5\r\nhello\r\n0\r\n\r\n`),
  'trailer with a coding': post('Transfer-Encoding: chunked', `0\r\nTransfer-Encoding: chunked\r\n\r\n`),
  'trailer that is folded': post('Transfer-Encoding: chunked', `0\r\nX: a\r\n b\r\n\r\n`),
  'trailer with a bare LF': post('Transfer-Encoding: chunked', `0\r\nX: a\n\r\n`),
  'trailer with a NUL': post('Transfer-Encoding: chunked', `0\r\nX: a\x00\r\n\r\n`),
  'last chunk without its last line': post('Transfer-Encoding: chunked', `5\r\nhello\r\n0\r\n${HIDDEN}`),
  'a folded Host': post('Content-Length: 0', '', 'Host: a\r\n b\r\n'),
  'a folded value': post('X: a\r\n b\r\nContent-Length: 5', 'hello'),
  'a fold of a tab': post('X: a\r\n\tContent-Length: 9\r\nContent-Length: 5', 'hello'),
  'two equal hosts': post('Content-Length: 0', '', 'Host: a\r\nHost: a\r\n'),
  'hosts in other cases': post('Content-Length: 0', '', 'Host: a\r\nhOST: b\r\n'),
  'an empty Host': post('Content-Length: 0', '', 'Host:\r\n'),
  'a list of hosts': post('Content-Length: 0', '', 'Host: a, b\r\n'),
  'a host with a path': post('Content-Length: 0', '', 'Host: a/b\r\n'),
  'a host with somebody': post('Content-Length: 0', '', 'Host: b@a\r\n'),
  'absolute form': `GET http://a/target HTTP/1.1\r\n${HOST}\r\n`,
  'absolute form of another host': `GET http://b/target HTTP/1.1\r\n${HOST}\r\n`,
  'absolute form without a Host': `GET http://a/target HTTP/1.1\r\n\r\n`,
  'absolute form with an invalid Host': `GET http://a/target HTTP/1.1\r\nHost: a b\r\n\r\n`,
  'absolute form with an empty Host': `GET http://a/target HTTP/1.1\r\nHost:\r\n\r\n`,
  'absolute form of HTTP/1.0': `GET http://a/target HTTP/1.0\r\n\r\n`,
  'absolute form with two hosts': `GET http://a/target HTTP/1.1\r\n${HOST}Host: b\r\n\r\n`,
  'absolute form without a host': `GET http:///target HTTP/1.1\r\n${HOST}\r\n`,
  'absolute form of another scheme': `GET ftp://a/target HTTP/1.1\r\n${HOST}\r\n`,
  'a target that is no path': `GET target HTTP/1.1\r\n${HOST}\r\n`,
  'a target with a space': `GET /a b HTTP/1.1\r\n${HOST}\r\n`,
  'a target with a NUL': `GET /a\x00b HTTP/1.1\r\n${HOST}\r\n`,
  'a target with a DEL': `GET /a\x7fb HTTP/1.1\r\n${HOST}\r\n`,
  'a target with a bare CR': `GET /a\rb HTTP/1.1\r\n${HOST}\r\n`,
  'a version of small letters': `GET /target http/1.1\r\n${HOST}\r\n`,
  'HTTP/0.9': `GET /target\r\n`,
  'HTTP/0.9 by name': `GET /target HTTP/0.9\r\n${HOST}\r\n`,
  'HTTP/1.1 with a bare CR behind': `GET /target HTTP/1.1\r\r\n${HOST}\r\n`,
  'HTTP/1.0 with a length and chunked': `POST /target HTTP/1.0\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  'a length of a decimal': post('Content-Length: 5.0', 'hello'),
  'a length in other digits': post('Content-Length: \xd9\xa5', 'hello'),
  'a length with a vertical tab': post('Content-Length: \x0b5', 'hello'),
  'a length with a comma': post('Content-Length: 5,', 'hello'),
  'a length with zeros before': post('Content-Length: 0000005', 'hello'),
  'a length in quotes': post('Content-Length: "5"', 'hello'),
  'a name with white space in it': post('Content Length: 5', 'hello'),
  'a name with a bracket': post('X(Y): 1\r\nContent-Length: 5', 'hello'),
  'a line of white space': post('X: a\r\n \r\nContent-Length: 5', 'hello'),
  'a line end of LF CR': post('X: a\n\rContent-Length: 5', 'hello'),
  'a section that ends with bare LFs': `POST /target HTTP/1.1\r\n${HOST}Content-Length: 5\n\nhello`,
  'a method of small letters': `post /target HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
  'a body of TRACE': `TRACE /target HTTP/1.1\r\n${HOST}Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  CONNECT: `CONNECT a:80 HTTP/1.1\r\n${HOST}\r\n${HIDDEN}`,
};
for (const spelling of SPELLINGS) {
  SHAPES[`TE.TE ${JSON.stringify(spelling)}`] = post(`Content-Length: ${CHUNKED.length}\r\n${spelling}`, CHUNKED);
  SHAPES[`TE ${JSON.stringify(spelling)}`] = post(spelling, CHUNKED);
}

/**
 * The statuses of all final answers until the connection ends. A client that closes its side at once may miss the answer to a request that is
 * handled anyway; with `afterAnswer` it first waits for the first bytes of an answer, or for the end.
 */
async function answersOf(port: number, shape: string, afterAnswer = false): Promise<number[]> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  socket.on('error', () => {});
  const ended = Promise.race([once(socket, 'end'), once(socket, 'close')]);
  socket.write(`${shape}GET /victim HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, 'latin1');
  if (afterAnswer) socket.once('data', () => socket.end());
  else socket.end();
  await ended;
  socket.destroy();
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)]
    .map(([, status]) => Number(status))
    .filter((status) => status >= 200);
}

/** Statuses that refuse the message itself rather than its target. */
function isRefusal(status: number | undefined): boolean {
  return status === undefined || [400, 408, 411, 413, 414, 417, 431, 501, 505].includes(status);
}

/** Cases that nginx refuses although HTTP allows them, and why Lading accepts them. */
const ALLOWED: Record<string, string> = {
  'TE "Transfer-Encoding:\\tchunked"': 'a tab is white space (RFC 9110 §5.6.3)',
};

function compare(name: string, theirs: readonly number[], ours: readonly number[]): void {
  const shown = `nginx ${theirs.join(' ') || 'nothing'}, Lading ${ours.join(' ') || 'nothing'}`;
  const hidden = (all: readonly number[]): number => all.slice(1).filter((status) => status === 200).length;
  assert.ok(hidden(ours) <= hidden(theirs), `the hidden request was answered: ${shown}`);
  assert.ok(ours.length <= Math.max(theirs.length, 2), `more requests were seen: ${shown}`);
  if (isRefusal(ours[0])) assert.ok(ours.length <= 1, `a refused message is followed by others: ${shown}`);
  // One answer and a closed connection are the strictest outcome, whatever the answer is.
  if (isRefusal(theirs[0]) && ALLOWED[name] === undefined) assert.ok(ours.length <= 1, `nginx is stricter: ${shown}`);
}

const skip = !hasNginx && 'no nginx';
const NGINX = 'location / { return 204; } location = /health { return 200; }';

test('known smuggling attacks are answered as nginx answers them, or more strictly', { skip }, async (t) => {
  const nginx = await startNginx(t, NGINX);
  const { port } = await startServer(t);
  for (const [name, shape] of Object.entries(SHAPES)) {
    const [theirs, ours] = await Promise.all([answersOf(nginx, shape), answersOf(port, shape)]);
    await t.test(name, () => compare(name, theirs, ours));
  }
});

test('a body that nginx refuses is not stored', { skip }, async (t) => {
  const nginx = await startNginx(t, NGINX);
  const { port, origin, client } = await startServer(t, { LADING_IDLE_SECONDS: '2' });
  const door = (index: number) =>
    `/api/files/content/target-${index} HTTP/1.1\r\nAuthorization: ${client.headers.authorization}\r\n`;
  for (const [index, [name, shape]] of Object.entries(SHAPES).entries()) {
    if (!shape.startsWith('POST /target HTTP/1.1\r\n')) continue;
    const stored = shape.replace('POST /target HTTP/1.1\r\n', `PUT ${door(index)}`);
    const [theirs, ours] = await Promise.all([answersOf(nginx, shape), answersOf(port, stored, true)]);
    const { headers } = client;
    const reply = await fetch(`${origin}/api/files/target-${index}`, { method: 'DELETE', headers });
    const { removed = [] } = (await reply.json()) as { removed?: string[] };
    await t.test(name, () => {
      compare(name, theirs, ours);
      const refused = isRefusal(theirs[0]) && ALLOWED[name] === undefined;
      if (refused || isRefusal(ours[0]))
        assert.ok(!removed.includes('file'), `something was stored: ${ours.join(' ')}`);
    });
  }
});
