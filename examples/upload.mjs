// Uploads a file with the JavaScript client and shows the progress. Run it again after an interruption to resume the upload.
// Usage: node upload.mjs FILE [NAME]. Outside of the checkout, import from 'lading-client/node' instead.
import { basename } from 'node:path';
import { connect, uploadFile } from 'lading/client/node';

const [path, name = basename(path)] = process.argv.slice(2);
const client = connect({
  server: process.env.LADING_SERVER ?? 'http://localhost:8005',
  clientId: process.env.LADING_CLIENT_ID,
  clientSecret: process.env.LADING_CLIENT_SECRET,
});

try {
  const { status, resumed } = await uploadFile(client, path, {
    name,
    onProgress: ({ done, total }) => process.stderr.write(`\r${Math.floor((100 * done) / total)} % `),
  });
  console.log(`\n${status.filename}: ${status.status}, CRC-32 ${status.crc32}, ${resumed} bytes resumed`);
} finally {
  await client.close();
}
