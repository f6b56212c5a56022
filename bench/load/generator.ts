import { Worker } from '../process.ts';
import type { LoadResult, Plan, SlowPlan, SlowState } from './plan.ts';

/** The load generator. It is a single process, so that the server has a core of its own on two cores. */
export class LoadGenerator {
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    this.worker = worker;
  }

  static async start(): Promise<LoadGenerator> {
    return new LoadGenerator(await Worker.start('./load/worker.js'));
  }

  /** Runs a plan. Rejects when any reply is unexpected. */
  run(plan: Plan): Promise<LoadResult> {
    return this.worker.request<LoadResult>(plan);
  }

  stop(): Promise<void> {
    return this.worker.stop();
  }
}

/** Slow devices, connected from `connect` until `disconnect`. */
export class SlowDevices {
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    this.worker = worker;
  }

  /** Resolves when all are connected and have sent their request head, chunk header and burst. */
  static async connect(plan: SlowPlan): Promise<SlowDevices> {
    const worker = await Worker.start('./load/slow.js');
    await worker.request<SlowState>(plan);
    return new SlowDevices(worker);
  }

  state(): Promise<SlowState> {
    return this.worker.request<SlowState>('state');
  }

  async disconnect(): Promise<SlowState> {
    const last = await this.worker.request<SlowState>('stop');
    await this.worker.stop();
    return last;
  }
}
