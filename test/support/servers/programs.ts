/** Programs that are installed on the machine. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** The reason to skip a test that needs the program; false if it is installed. */
export function without(name: string): string | false {
  return findProgram(name) === null && `no ${name} on this machine`;
}

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program until it exits, with any exit code. */
export function runProgram(name: string, args: readonly string[], cwd?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(name, args, { cwd, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}
