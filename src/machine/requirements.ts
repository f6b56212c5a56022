/** Checks that the machine has enough descriptors and memory for the server. */
import { totalmem } from 'node:os';
import { MIB } from '../protocol/sizes.ts';
import { descriptorLimit } from './descriptors.ts';

/** For the files and threads of the server and a few connections. */
const MIN_DESCRIPTORS = 256;
const RECOMMENDED_DESCRIPTORS = 4096;
/** For the program, its threads and short-lived memory. */
const MIN_BYTES = 192 * MIB;

export interface Requirements {
  /** Descriptors that may be open; null: any number. */
  descriptors: number | null;
  /** Bytes of memory. */
  memory: number;
}

/** The descriptors and memory that this process may use. Respects the limit of a control group. */
export function availableResources(): Requirements {
  const group = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return { descriptors: descriptorLimit(), memory: Math.min(totalmem(), group) };
}

/**
 * @param bufferBytes LADING_BUFFER_BYTES; downloads may hold half as much again
 * @returns `refusal`: why the server cannot run, as one line; null: it can. `warnings`: lines about scarce resources
 */
export function checkRequirements(
  { descriptors, memory }: Requirements,
  bufferBytes: number,
): { refusal: string | null; warnings: string[] } {
  const warnings: string[] = [];
  if (descriptors !== null && descriptors < MIN_DESCRIPTORS) {
    const refusal = `the system lets this process open ${descriptors} files and connections; it needs ${MIN_DESCRIPTORS} at least, and one more for each connection: raise the limit (ulimit -n, LimitNOFILE)`;
    return { refusal, warnings };
  }
  if (memory < MIN_BYTES) {
    const refusal = `there are ${inMib(memory)} of memory; the server needs ${inMib(MIN_BYTES)} at least, and LADING_BUFFER_BYTES and half as much again for transfers`;
    return { refusal, warnings };
  }
  if (descriptors !== null && descriptors < RECOMMENDED_DESCRIPTORS) {
    warnings.push(
      `the system lets this process open only ${descriptors} files and connections: raise the limit (ulimit -n, LimitNOFILE) for more`,
    );
  }
  const wanted = MIN_BYTES + bufferBytes * 1.5;
  if (memory < wanted) {
    warnings.push(
      `there are ${inMib(memory)} of memory, and LADING_BUFFER_BYTES allows so much for transfers that ${inMib(wanted)} may be needed: set it lower`,
    );
  }
  return { refusal: null, warnings };
}

function inMib(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
