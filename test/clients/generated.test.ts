/** Clients that are generated from the OpenAPI document upload a file and download it. */
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TRAIN_CRC32_TYPE, TRAIN_TYPE } from '../../src/protocol/train.ts';
import { startServer } from '../support/product/server.ts';
import { repoRoot } from '../support/root.ts';
import { npmWith } from '../support/servers/npm.ts';
import { runProgram } from '../support/servers/programs.ts';
import { pythonWith } from '../support/servers/python.ts';

const STORIES = join(repoRoot(), 'test/clients/generated');

/** A directory with the document in `openapi.json`. */
async function folderWith(t: TestContext, origin: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-generated-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'openapi.json'), await (await fetch(`${origin}/openapi.json`)).text());
  return folder;
}

test('a generated Python client uploads and downloads a file', async (t) => {
  const python = await pythonWith(['openapi-python-client==0.29.1']);
  if ('missing' in python) return t.skip(python.missing);
  const { origin, client } = await startServer(t);
  const folder = await folderWith(t, origin);
  const run = async (program: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runProgram(join(python.programs, program), args, folder);
    assert.equal(code, 0, stdout + stderr);
    return stdout + stderr;
  };
  await writeFile(
    join(folder, 'config.yml'),
    // tus has a media type of its own for bytes, which the generator does not know.
    'post_hooks: []\ncontent_type_overrides:\n  application/offset+octet-stream: application/octet-stream\n',
  );
  const output = await run(
    'openapi-python-client',
    ...['generate', '--path', 'openapi.json', '--config', 'config.yml'],
    ...['--meta', 'none', '--output-path', 'lading_api'],
  );
  // The generator skips trains, whose media types it does not know; the client sends single chunks.
  const skipped = [...output.matchAll(/Unsupported content type (\S+)/g)].map(([, type]) => type);
  assert.deepEqual(skipped, [TRAIN_TYPE, TRAIN_CRC32_TYPE]);
  assert.equal(output.match(/WARNING/g)?.length, skipped.length, output);
  await copyFile(join(STORIES, 'story.py'), join(folder, 'story.py'));
  assert.equal(await run('python', 'story.py', origin, client.id, client.secret), 'done\n');
});

test('a generated TypeScript client uploads and downloads a file', async (t) => {
  const packages = await npmWith([
    'openapi-typescript@7.13.0',
    'openapi-fetch@0.17.0',
    'typescript@5.9.3',
    '@types/node@20',
  ]);
  if ('missing' in packages) return t.skip(packages.missing);
  const { origin, client } = await startServer(t);
  const folder = await folderWith(t, origin);
  const run = async (program: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runProgram(program, args, folder);
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  };
  const tools = join(packages.folder, 'node_modules/.bin');
  await symlink(join(packages.folder, 'node_modules'), join(folder, 'node_modules'));
  await run(join(tools, 'openapi-typescript'), 'openapi.json', '-o', 'lading.ts');
  await copyFile(join(STORIES, 'story.mts'), join(folder, 'story.mts'));
  const flags = ['--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  await run(join(tools, 'tsc'), ...flags, '--rewriteRelativeImportExtensions', 'story.mts');
  assert.equal(await run(process.execPath, 'story.mjs', origin, client.id, client.secret), 'done\n');
});
