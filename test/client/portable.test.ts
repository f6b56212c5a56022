import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const SRC = join(import.meta.dirname, '../../src');

/** Every module that `entry` imports, by path below `src`, and the packages that these modules import. */
async function reachable(entry: string): Promise<{ modules: Set<string>; packages: Set<string> }> {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (modules.has(relative(SRC, path))) return;
    assert.ok(existsSync(path), path);
    modules.add(relative(SRC, path));
    const code = await readFile(path, 'utf8');
    for (const [, specifier = ''] of code.matchAll(/^(?:import|export)\s(?:[\w\s{},*$]*\sfrom\s)?'([^']+)';$/gm)) {
      if (specifier.startsWith('.')) await visit(join(dirname(path), specifier));
      else packages.add(specifier);
    }
  };
  await visit(join(SRC, entry));
  return { modules, packages };
}

test('lading/client imports no Node modules, and from the rest of src only protocol and errors', async () => {
  const { modules, packages } = await reachable('client/client.js');
  assert.ok(
    modules.has('client/transfer/upload-run.js') && modules.has('client/transfer/download.js'),
    'the walk finds the modules',
  );
  assert.deepEqual([...packages].sort(), ['crc-32', 'structured-headers']);
  for (const module of modules) assert.match(module, /^(client|protocol)\/|^errors\.js$/);
  const schemas = [...modules].filter((module) => module.startsWith('protocol/schemas/'));
  assert.deepEqual(schemas, [], 'schemas are imported for their types only');
});

test('lading/client/node adds undici and Node modules, but imports nothing from the server', async () => {
  const { modules, packages } = await reachable('client/node.js');
  assert.ok(packages.has('undici') && packages.has('node:fs/promises'));
  for (const module of modules) assert.match(module, /^(client|protocol)\/|^errors\.js$/);
});
