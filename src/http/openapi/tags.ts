/** The groups of the OpenAPI document, in reading order: files first. */
export const TAGS: readonly { name: string; description: string }[] = [
  { name: 'Files', description: 'Upload files in chunks, read their status, download, list, verify and delete them.' },
  {
    name: 'Resumable uploads',
    description: 'Whole files with PUT or POST, resumable by the IETF draft (versions 8 to 12).',
  },
  { name: 'tus', description: 'Resumable uploads by tus 1.0.' },
  { name: 'Audio', description: 'Audio files: recognized by their content, and played by ranges.' },
  { name: 'Sharing', description: 'Links for people without an account, and grants to other accounts.' },
  { name: 'Events', description: 'Changes of files and accounts, as server-sent events.' },
  { name: 'Delivery', description: 'Targets that receive complete files and events: FTP, FTPS, webhooks.' },
  { name: 'Signing in', description: 'Tokens for devices, by id and secret.' },
  { name: 'Clients', description: 'Devices and programs, their OAuth 2.0 tokens, and the keys that verify them.' },
  { name: 'API tokens', description: 'Long-lived tokens for programs, with scopes and an expiry.' },
  { name: 'People', description: 'Accounts with an e-mail address and a password, and sign-in providers.' },
  { name: 'Sessions', description: 'List and end the sessions of your account.' },
  {
    name: 'Ops and clients',
    description: 'Accounts with a user name: ops accounts upload files, client accounts download them.',
  },
  { name: 'Calls', description: 'Codes that are spoken into a telephone, and second factors.' },
  { name: 'Quotas', description: 'Limits on what a client, a person or a tenant may store and upload.' },
  { name: 'Tenants', description: 'Separate sets of accounts and files on one server.' },
  { name: 'Administration', description: 'Settings, audit log, transfers, sweeps and metrics.' },
  { name: 'Health', description: 'Whether the process is alive and whether it accepts requests.' },
];

/** The paths that come first. The others follow in the order of registration. */
const FIRST = [
  '/api/files/upload',
  '/api/files/status/{filename}',
  '/api/files/download/{filename}',
  '/api/files',
  '/api/files/{filename}',
];

/** Compares paths for their order in the document. */
export function byUse(a: string, b: string): number {
  const rank = (path: string): number => (FIRST.includes(path) ? FIRST.indexOf(path) : FIRST.length);
  return rank(a) - rank(b);
}
