// Checks the messages of new commits: `node scripts/check-commits.mjs [RANGE]`. A subject of at most 72 characters in the imperative, then
// an empty line and the reason. Without a range it checks every commit since this check exists. Plain JavaScript: nothing needs to be built.
import { spawnSync } from 'node:child_process';

const MAX_SUBJECT = 72;
const FIELD = '\u0000';
const RECORD = '\u0001';
/** Imperatives that end like another form. */
const IMPERATIVES = new Set([
  'Bring',
  'Embed',
  'Exceed',
  'Feed',
  'Need',
  'Proceed',
  'Ring',
  'Seed',
  'Speed',
  'String',
  'Succeed',
]);

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** The faults of a commit message; empty if it has none. */
export function problemsOf(subject, body) {
  const found = [];
  if (subject.length > MAX_SUBJECT)
    found.push(`the subject has ${subject.length} characters; at most ${MAX_SUBJECT} are allowed`);
  if (/[.:;,]$/.test(subject)) found.push('the subject ends with a punctuation mark');
  const verb = /^(?:[\w./-]+: )?([A-Za-z]+)/.exec(subject)?.[1] ?? '';
  if (!/^[A-Z]/.test(subject)) found.push('the subject does not begin with a capital letter');
  if (/(?:ed|ing)$/.test(verb) && !IMPERATIVES.has(verb)) found.push(`"${verb}" is not an imperative`);
  if (body.trim() === '') found.push('the body does not say why');
  return found;
}

/** The commits since this file was added; only the newest commit in a shallow clone without that commit. */
function sinceThisCheck() {
  const first = git('log', '--diff-filter=A', '--format=%H', '--', 'scripts/check-commits.mjs')
    .trim()
    .split('\n')
    .at(-1);
  return first ? `${first}..HEAD` : '-1';
}

function main() {
  if (spawnSync('git', ['rev-parse', '--git-dir']).status !== 0) {
    console.log('not a git repository; no commit messages to check');
    return;
  }
  const range = process.argv[2] ?? sinceThisCheck();
  const log = git('log', '--no-merges', `--format=%h%x00%s%x00%b%x01`, range);
  const commits = log
    .split(RECORD)
    .map((text) => text.trim())
    .filter((text) => text !== '');
  for (const commit of commits) {
    const [hash = '', subject = '', body = ''] = commit.split(FIELD);
    for (const problem of problemsOf(subject, body)) {
      console.error(`${hash} ${subject}: ${problem}`);
      process.exitCode = 1;
    }
  }
  console.log(`${commits.length} commit messages checked`);
}

if (process.argv[1]?.endsWith('check-commits.mjs')) main();
