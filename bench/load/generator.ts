import { Worker } from '../process.ts';
import type { LoadResult, Plan, SlowPlan, SlowState } from './plan.ts';

/** The load generator: one process, so that on two cores the server has one core for itself. */
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
    return this.worker.ask<LoadResult>(plan);
  }

  stop(): Promise<void> {
    return this.worker.stop();
  }
}

/** Slow devices, connected from `join` until `leave`. */
export class SlowCrowd {
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    this.worker = worker;
  }

  /** Resolves when all are connected and have sent their request head, chunk header and burst. */
  static async join(plan: SlowPlan): Promise<SlowCrowd> {
    const worker = await Worker.start('./load/slow.js');
    await worker.ask<SlowState>(plan);
    return new SlowCrowd(worker);
  }

  state(): Promise<SlowState> {
    return this.worker.ask<SlowState>('state');
  }

  async leave(): Promise<SlowState> {
    const last = await this.worker.ask<SlowState>('stop');
    await this.worker.stop();
    return last;
  }
}
