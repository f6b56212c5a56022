/** Programs of the machine that tests use as their users do. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** For `skip`: false when the program is there, else why the test cannot run. */
export function without(name: string): string | false {
  return findProgram(name) === null && `no ${name} on this machine`;
}

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, whatever its exit code is. */
export function runProgram(name: string, args: readonly string[], cwd?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(name, args, { cwd, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}
