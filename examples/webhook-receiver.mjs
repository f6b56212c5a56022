// Receives webhooks, checks their signatures, and prints a line for each. Start it with the secret of the target in WEBHOOK_SECRET.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ''), 'base64');

function isGenuine(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': given = '' } = headers;
  const hash = createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest('base64');
  const [expected, actual] = [Buffer.from(`v1,${hash}`), Buffer.from(given)];
  const isRecent = Math.abs(Date.now() / 1000 - Number(time)) < 300;
  return isRecent && expected.length === actual.length && timingSafeEqual(expected, actual);
}

createServer(async (request, response) => {
  const body = await buffer(request);
  if (!isGenuine(request.headers, body)) return response.writeHead(401).end();
  response.writeHead(204).end();
  const { type, filename } = JSON.parse(body);
  console.log(request.headers['webhook-id'], type, filename);
}).listen(9000);
