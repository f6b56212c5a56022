/** The process of the load generator: runs plans from its parent, one at a time, and replies with measurements. */
import { randomFillSync } from 'node:crypto';
import { LoadConnection, type Payload } from './connection.ts';
import type { LoadResult, Plan } from './plan.ts';

class SharedPayload implements Payload {
  private data = Buffer.alloc(0);
  private readonly sums = new Map<number, number>();

  slice(bytes: number): Buffer {
    if (this.data.length < bytes) {
      this.data = randomFillSync(Buffer.allocUnsafeSlow(bytes));
      this.sums.clear();
    }
    return this.data.subarray(0, bytes);
  }

  checksum(bytes: number): number {
    const known = this.sums.get(bytes);
    if (known !== undefined) return known;
    let sum = 0;
    for (const byte of this.slice(bytes)) sum = (sum + byte) & 0xff;
    this.sums.set(bytes, sum);
    return sum;
  }
}

const payload = new SharedPayload();

async function run(plan: Plan): Promise<LoadResult> {
  // Create the largest payload first, so that all connections share it.
  payload.slice(plan.direction === 'upload' ? Math.max(...plan.connections.map(({ bytes }) => bytes)) : 0);
  const connections = plan.connections.map(
    (series) => new LoadConnection(series, plan.direction === 'upload', payload, plan.latencies),
  );
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.all(connections.map((connection) => connection.open(plan.port)));
    const timeout = new Promise<never>((_, reject) => {
      const message = `not done after ${plan.limitSeconds} s`;
      timer = setTimeout(() => reject(new Error(message)), plan.limitSeconds * 1000);
    });
    const cpu = process.cpuUsage();
    const start = performance.now();
    await Promise.race([Promise.all(connections.map((connection) => connection.run())), timeout]);
    const seconds = (performance.now() - start) / 1000;
    const used = process.cpuUsage(cpu);
    return {
      seconds,
      bytes: connections.reduce((sum, { bytes }) => sum + bytes, 0),
      requests: connections.reduce((sum, { requests }) => sum + requests, 0),
      cpuSeconds: (used.user + used.system) / 1e6,
      latencies: Float64Array.from(connections.flatMap(({ latencies }) => latencies)),
    };
  } finally {
    clearTimeout(timer);
    for (const connection of connections) connection.close();
  }
}

process.on('message', (plan: Plan) => {
  run(plan).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ result: 'ready' });
