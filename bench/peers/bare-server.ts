/**
 * Servers that set upper bounds, in their own process. `http`: node:http that discards bodies and sends as many bytes as requested.
 * `sink`: a socket server that only counts bytes, which shows the limit of the load generator itself.
 */
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const block = Buffer.alloc(1024 * 1024, 0x5a);

const http = createHttpServer((request, response) => {
  const wanted = /^\/bytes\/(\d+)$/.exec(request.url ?? '');
  if (wanted !== null) {
    let left = Number(wanted[1]);
    response.writeHead(200, { 'Content-Length': left });
    const more = () => {
      while (left > 0) {
        const take = Math.min(left, block.length);
        left -= take;
        if (!response.write(take === block.length ? block : block.subarray(0, take))) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
    return;
  }
  request.on('data', () => {});
  request.on('end', () => {
    response.writeHead(200, { 'Content-Length': 2 });
    response.end('ok');
  });
});

/** Reads one request head, then skips its Content-Length. */
function count(socket: Socket): void {
  let head = '';
  let left = -1; // bytes left of the body; -1 in the head
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    let at = 0;
    if (left < 0) {
      const seen = head.length;
      head += bytes.toString('latin1', 0, 4096);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      left = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      at = end + 4 - seen;
      head = '';
    }
    left -= bytes.length - at;
    // The generator waits for each reply, so these bytes contain nothing of the next request.
    if (left === 0) {
      left = -1;
      socket.write(OK);
    }
  });
}

const sink = createServer(count);
http.keepAliveTimeout = 600_000;
http.listen(0, '127.0.0.1', () => {
  sink.listen(0, '127.0.0.1', () => {
    const ports = { http: (http.address() as AddressInfo).port, sink: (sink.address() as AddressInfo).port };
    process.send?.({ result: ports });
  });
});
process.on('disconnect', () => process.exit(0));
