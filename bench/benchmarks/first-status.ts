import { connect } from 'node:net';
import { type BenchContext, type Benchmark, MIB, newDirectory, registered, runJob, startLading } from '../bench.ts';
import type { Lading } from '../peers/lading.ts';
import { Tus } from '../peers/tus.ts';
import { type Contestant, interleave, median, quantile } from '../rounds.ts';

/** Connections per sample, one after another. */
const REQUESTS = 200;

export const firstStatus: Benchmark = {
  name: 'first-status',
  title:
    'time from opening a connection to the first status of an upload: on an idle server, as an event stream, and during uploads',
  limitSeconds: 40,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const requests = bench.options.quick ? 10 : REQUESTS;
    const lading = await startLading(bench, 'seal');
    const tus = await registered(bench, Tus.start(newDirectory(bench, 'tus')));
    const { name, path } = await openUploads(bench, lading, tus);
    const get = `GET /api/files/status/${name} HTTP/1.1\r\n${lading.fields()}`;
    const head = `HEAD ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n\r\n`;
    const poll = () => firstReply(lading.port, `${get}\r\n\r\n`, '"status":"partial"');
    const stream = () => firstReply(lading.port, `${get}\r\nAccept: text/event-stream\r\n\r\n`, '"status":"partial"');
    const peer = () => firstReply(tus.port, head, 'pload-');

    const idle = [repeated('lading', requests, poll), repeated('tus', requests, peer)];
    bench.report.add(this.name, 'poll, idle', 'ms', await interleave(idle, bench.options.rounds, deadline));
    const events = [repeated('lading', requests, stream), repeated('tus', requests, peer)];
    bench.report.add(this.name, 'event stream, idle', 'ms', await interleave(events, bench.options.rounds, deadline));
    const all: number[] = [];
    const busy = { name: 'lading', sample: () => whileUploading(bench, lading, poll, all) };
    const note = () => `99 % within ${quantile(all, 0.99).toFixed(1)} ms`;
    const samples = await interleave([busy], bench.options.rounds, deadline);
    bench.report.add(this.name, 'poll, while 4 connections upload 1 MiB chunks', 'ms', samples, [], note());
  },
};

/** Creates an upload with one of two chunks on each server. */
async function openUploads(bench: BenchContext, lading: Lading, tus: Tus): Promise<{ name: string; path: string }> {
  const name = 'first-status';
  const order = { kind: 'sequential' as const, first: 0, count: 1, slots: 1 };
  await bench.generator.run(lading.planOf([{ ...lading.series(name, 2 * MIB, MIB), bytes: MIB, order }]));
  return { name, path: await tus.create(2 * MIB) };
}

function repeated(name: string, times: number, request: () => Promise<number>): Contestant {
  const sample = async () => {
    const all: number[] = [];
    for (let i = 0; i < times; i++) all.push(await request());
    return median(all);
  };
  return { name, sample };
}

/** Requests the status repeatedly while an upload runs. Returns the median. */
async function whileUploading(
  bench: BenchContext,
  lading: Lading,
  request: () => Promise<number>,
  all: number[],
): Promise<number> {
  const chunksEach = bench.options.quick ? 8 : 256;
  const job = await lading.upload({ bytes: MIB, connections: 4, chunksEach, layout: 'files' });
  let uploading = true;
  const upload = runJob(bench, lading, job).finally(() => {
    uploading = false;
  });
  const own: number[] = [];
  while (uploading) own.push(await request());
  await upload;
  all.push(...own);
  return median(own);
}

/** Milliseconds from opening a connection until `wanted` arrives. Rejects after ten seconds. */
function firstReply(port: number, request: string, wanted: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let text = '';
    const end = (error: Error | null) => {
      socket.destroy();
      if (error === null) resolve(performance.now() - began);
      else reject(error);
    };
    socket.setTimeout(10_000, () => end(new Error(`no status after 10 s: ${text.slice(0, 300)}`)));
    socket.on('error', end);
    socket.on('end', () => end(new Error(`no status: ${text.slice(0, 300)}`)));
    socket.on('connect', () => socket.write(request));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (text.includes(wanted)) end(null);
    });
  });
}
