/**
 * Builds the package from the output of `npm run build` for src/client: two modules that bundle the small libraries, so that only undici
 * needs to be installed, and their types. The types of the schemas use those of typebox, which are included.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules, createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'vite';

const here = import.meta.dirname;
const compiled = resolve(here, '../../dist/src');
const packages = resolve(here, '../../node_modules');
const { version } = createRequire(import.meta.url)('../../package.json');
const own = createRequire(import.meta.url)('./package.json');
if (own.version !== version) throw new Error(`the version must be that of the server, ${version}`);

/** Packages whose code is bundled in the modules or types. */
const PARTS = ['crc-32', 'structured-headers', 'typebox', 'socks', 'smart-buffer', 'ip-address'];

/** Turns `require('net')` in libraries into an import of the Node module. Vite would replace it with an empty module for browsers. */
const nodeModules = {
  name: 'node-modules',
  enforce: 'pre',
  resolveId: (id) => (builtinModules.includes(id) ? `\0builtin:${id}` : null),
  load: (id) => {
    const [, name] = /^\0builtin:(.+)/.exec(id) ?? [];
    return name === undefined ? null : `export * from 'node:${name}'; export { default } from 'node:${name}';`;
  },
};

await bundle();
await writeTypes();
await writeNotices();

async function bundle() {
  await build({
    root: here,
    configFile: false,
    logLevel: 'warn',
    plugins: [nodeModules],
    build: {
      outDir: join(here, 'dist'),
      emptyOutDir: true,
      minify: false,
      target: 'es2022',
      lib: {
        entry: { client: join(compiled, 'client/client.js'), node: join(compiled, 'client/node.js') },
        formats: ['es'],
      },
      rollupOptions: {
        external: [/^node:/, 'undici'],
        output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' },
      },
    },
  });
}

/** Writes the declarations of both entries and of all modules that they import. */
async function writeTypes() {
  const types = join(here, 'types');
  await rm(types, { recursive: true, force: true });
  const seen = new Set();
  const visit = async (file, from, to) => {
    if (seen.has(file)) return;
    seen.add(file);
    const target = join(to, relative(from, file));
    let text = await readFile(file, 'utf8');
    const specifiers = [...text.matchAll(/(?:from |import\()['"](\.[^'"]+|typebox)['"]/g)].map(([, name]) => name);
    for (const specifier of new Set(specifiers)) {
      if (specifier === 'typebox') {
        const vendored = join(types, 'typebox/index.mjs');
        text = text.replaceAll(`'typebox'`, `'${relative(dirname(target), vendored)}'`);
        text = text.replaceAll(`"typebox"`, `"${relative(dirname(target), vendored)}"`);
        await visit(join(packages, 'typebox/build/index.d.mts'), join(packages, 'typebox/build'), join(types, 'typebox'));
        continue;
      }
      const path = resolve(dirname(file), specifier).replace(/\.ts$/, '.d.ts').replace(/\.mjs$/, '.d.mts');
      await visit(path, from, to);
    }
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text.replaceAll(/(from ['"]\.[^'"]+)\.ts(['"])/g, '$1.js$2').replace(/^\/\/# sourceMapping.*$/m, ''));
  };
  for (const entry of ['client/client.d.ts', 'client/node.d.ts']) await visit(join(compiled, entry), compiled, types);
}

async function writeNotices() {
  const notices = [];
  for (const name of PARTS) {
    const directory = join(packages, name);
    const licence = await Promise.any(['LICENSE', 'license'].map((file) => readFile(join(directory, file), 'utf8')));
    notices.push(`## ${name}\n\n${licence.trim()}\n`);
  }
  await writeFile(join(here, 'NOTICES.md'), `# Third-party software in this package\n\n${notices.join('\n')}`);
  await copyFile(resolve(here, '../../LICENSE'), join(here, 'LICENSE'));
}
