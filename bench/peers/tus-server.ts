/** A `@tus/server` with its file store, in its own process. Argument: the directory. Sends its port when it listens. */
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: tus-server DIRECTORY');
const server = new Server({ path: '/files', relativeLocation: true, datastore: new FileStore({ directory }) });
const http = server.listen({ host: '127.0.0.1', port: 0 }, () => {
  const address = http.address();
  process.send?.({ result: typeof address === 'object' ? address?.port : undefined });
});
process.on('disconnect', () => process.exit(0));
