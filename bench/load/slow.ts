/** Slow devices, in their own process. Each one sends a few bytes per second of a chunk that it never finishes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { SlowPlan, SlowState } from './plan.ts';
import { HeadTemplate, writeFrame } from './template.ts';

/** Each device sends once per second. The devices are spread over this many moments of the second. */
const TICKS = 20;
const BATCH = 100;

const state: SlowState = { connected: 0, lost: 0, firstReply: '' };
const sockets: Socket[] = [];
let timer: NodeJS.Timeout | undefined;

async function connectDevice(plan: SlowPlan, index: number, head: HeadTemplate): Promise<void> {
  const socket = connect({ port: plan.port, host: '127.0.0.1' });
  await once(socket, 'connect');
  let isConnected = true;
  const lose = (reply: string) => {
    if (isConnected) state.lost += 1;
    isConnected = false;
    state.firstReply ||= reply;
  };
  socket.on('data', (bytes) => lose(bytes.toString('utf8', 0, 600)));
  socket.on('error', () => lose(''));
  socket.on('close', () => lose(''));
  const frame = Buffer.alloc(17);
  const files = plan.files ?? plan.count;
  writeFrame(frame, 0, Math.floor(index / files), plan.bytes, 0);
  socket.write(head.render(index % files, plan.bytes), 'latin1');
  socket.write(frame);
  if (plan.burst > 0) socket.write(Buffer.alloc(plan.burst));
  sockets.push(socket);
  state.connected += 1;
}

async function start(plan: SlowPlan): Promise<void> {
  const head = new HeadTemplate(plan.head);
  for (let first = 0; first < plan.count; first += BATCH) {
    const size = Math.min(BATCH, plan.count - first);
    await Promise.all(Array.from({ length: size }, (_, i) => connectDevice(plan, first + i, head)));
  }
  const drop = Buffer.alloc(plan.bytesPerSecond);
  let tick = 0;
  timer = setInterval(() => {
    for (let i = tick % TICKS; i < sockets.length; i += TICKS) {
      const socket = sockets[i] as Socket;
      if (!socket.destroyed) socket.write(drop);
    }
    tick += 1;
  }, 1000 / TICKS);
}

process.on('message', (message: SlowPlan | 'state' | 'stop') => {
  if (message === 'state') process.send?.({ result: state });
  else if (message === 'stop') {
    clearInterval(timer);
    const last = { ...state };
    for (const socket of sockets) socket.destroy();
    process.send?.({ result: last }, () => process.exit(0));
  } else
    start(message).then(
      () => process.send?.({ result: state }),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ result: 'ready' });
