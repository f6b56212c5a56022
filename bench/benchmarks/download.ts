import {
  type BenchContext,
  type Benchmark,
  KIB,
  MIB,
  memoryRow,
  newDirectory,
  registered,
  sizeLabel,
  startLading,
  warmUp,
} from '../bench.ts';
import { Bare } from '../peers/bare.ts';
import { Nginx } from '../peers/nginx.ts';
import type { DownloadWork, Job, Peer } from '../peers/peer.ts';
import type { Target } from '../report.ts';
import { timeSlices } from '../rounds.ts';
import { type Cell, measureCell } from './throughput.ts';

const WARM_UP_SECONDS = 3;

type Server = Peer & { download(work: DownloadWork): Promise<Job> };

export const download: Benchmark = {
  name: 'download',
  title:
    'throughput of downloads: whole files and ranges of 1 MiB and 64 KiB over 1, 4 and 16 connections, from memory',
  limitSeconds: 160,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const fileBytes = bench.options.quick ? 16 * MIB : 256 * MIB;
    const missing = Nginx.missing();
    if (missing !== null) bench.report.note(missing);
    const lading = await startLading(bench, 'seal');
    await lading.store(fileBytes);
    const servers: Server[] = [lading];
    if (missing === null) {
      const nginx = await registered(bench, Nginx.start(newDirectory(bench, 'nginx')));
      await nginx.store(fileBytes);
      servers.push(nginx);
    }
    servers.push(await registered(bench, Bare.start()));
    const small = { bytes: 64 * KIB, fileBytes, connections: 4, requestsEach: 500 };
    for (const server of servers) await warmUp(bench, server, WARM_UP_SECONDS, () => server.download(small));
    const sizes = [fileBytes, MIB, 64 * KIB];
    const connections = bench.options.quick ? [4] : [1, 4, 16];
    const share = timeSlices(deadline, sizes.length * connections.length);
    for (const bytes of sizes)
      for (const count of connections)
        await measureCell(bench, cellOf(servers, bytes, fileBytes, count, this.name), share());
    memoryRow(bench, this.name, 'server memory at the end', lading);
  },
};

function cellOf(servers: Server[], bytes: number, fileBytes: number, connections: number, benchmark: string): Cell {
  const whole = bytes === fileBytes;
  const targets: Target[] = [];
  if (whole) targets.push({ of: 'lading', to: 'nginx', sense: '>=', bound: 0.95 });
  else if (bytes === MIB) targets.push({ of: 'lading', to: 'nginx', sense: '>=', bound: 0.6 });
  return {
    benchmark,
    label: `${whole ? `whole (${sizeLabel(bytes)})` : `ranges of ${sizeLabel(bytes)}`} × ${connections}`,
    warmUpRequests: Math.max(1, Math.ceil((bytes >= MIB ? 128 * MIB : 32 * MIB) / bytes / connections)),
    maxRequests: Number.POSITIVE_INFINITY,
    targets,
    contestants: servers.map((server) => ({
      peer: server,
      name: server.name,
      job: (requestsEach) => server.download({ bytes, fileBytes, connections, requestsEach }),
    })),
  };
}
