import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** `dd` copies random bytes from memory to the measured disk. dd measures the time itself, without its own start. */
export class Dd {
  private readonly input: string;
  private readonly directory: string;
  private run = 0;

  /** @param source a directory in memory @param directory a directory on the disk @param maxBytes the largest total in bytes */
  constructor(source: string, directory: string, maxBytes: number) {
    mkdirSync(source, { recursive: true });
    mkdirSync(directory, { recursive: true });
    this.input = join(source, 'dd-input');
    this.directory = directory;
    writeFileSync(this.input, randomFillSync(Buffer.allocUnsafe(maxBytes)));
  }

  /** Megabytes per second of consecutive `dd bs=BYTES count=1 conv=fdatasync`, each to a new file. */
  async syncEach(bytes: number, count: number): Promise<number> {
    let seconds = 0;
    for (let i = 0; i < count; i++)
      seconds += await this.write([`bs=${bytes}`, 'count=1', `skip=${i}`, 'conv=fdatasync']);
    return (bytes * count) / 1e6 / seconds;
  }

  /** Megabytes per second of one `dd bs=BYTES count=COUNT oflag=dsync`: one file, each block synced before the next. */
  async dsync(bytes: number, count: number): Promise<number> {
    return (bytes * count) / 1e6 / (await this.write([`bs=${bytes}`, `count=${count}`, 'oflag=dsync']));
  }

  /** Megabytes per second of one `dd bs=BYTES count=COUNT conv=fdatasync`: one file, synced once at its end. */
  async syncAtEnd(bytes: number, count: number): Promise<number> {
    return (bytes * count) / 1e6 / (await this.write([`bs=${bytes}`, `count=${count}`, 'conv=fdatasync']));
  }

  private async write(args: string[]): Promise<number> {
    this.run += 1;
    const output = join(this.directory, `dd-${this.run}`);
    const env = { ...process.env, LC_ALL: 'C' };
    const { stderr } = await execute('dd', [`if=${this.input}`, `of=${output}`, ...args], { env });
    rmSync(output);
    const seconds = Number(/ copied, ([\d.e-]+) s/.exec(stderr)?.[1]);
    if (!(seconds > 0)) throw new Error(`dd failed: ${stderr}`);
    return seconds;
  }
}
