/** The groups of the OpenAPI document, in the order in which a reader needs them: files first. */
export const TAGS: readonly { name: string; description: string }[] = [
  { name: 'Files', description: 'Send a file in chunks, see how far it is, read it back, list, verify and delete.' },
  {
    name: 'Resumable uploads',
    description: 'Whole files with PUT or POST, resumable by the IETF draft (draft 8 to 12).',
  },
  { name: 'tus', description: 'Resumable uploads by tus 1.0.' },
  { name: 'Audio', description: 'Audio files: stored whole, known by their content, played by ranges.' },
  { name: 'Sharing', description: 'Links for people without an account, and grants to other accounts.' },
  { name: 'Events', description: 'What happens, as it happens, as server-sent events.' },
  { name: 'Delivery', description: 'Targets that finished files and events are sent on to: FTP, FTPS, webhooks.' },
  { name: 'Signing in', description: 'A token for a device: its id and secret.' },
  { name: 'Clients', description: 'Devices and programs, their tokens by OAuth 2.0, and the keys that verify these.' },
  { name: 'API tokens', description: 'Long-lived tokens for programs, with scopes and an end.' },
  { name: 'People', description: 'Accounts with an e-mail address and a password, and outside providers.' },
  { name: 'Sessions', description: 'Sign-ins that last, to look at and to end.' },
  { name: 'Ops and clients', description: 'Accounts with a user name: ops store files, clients fetch them.' },
  { name: 'Calls', description: 'Codes that are spoken into a telephone, and second factors.' },
  { name: 'Quotas', description: 'How much a client, a person or a tenant may store and send.' },
  { name: 'Tenants', description: 'Separate sets of accounts and files on one server.' },
  { name: 'Administration', description: 'Settings, audit log, transfers, sweeps and metrics.' },
  { name: 'Health', description: 'Whether the process lives, and whether it takes requests.' },
];

/** What a reader tries first; the other paths of a group follow as they were registered. */
const FIRST = [
  '/api/files/upload',
  '/api/files/status/{filename}',
  '/api/files/download/{filename}',
  '/api/files',
  '/api/files/{filename}',
];

/** Compares paths for the order in which they stand in the document. */
export function byUse(a: string, b: string): number {
  const rank = (path: string): number => (FIRST.includes(path) ? FIRST.indexOf(path) : FIRST.length);
  return rank(a) - rank(b);
}
