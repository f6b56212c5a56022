/** The rooms and folders of the source tree, and their allowed imports. */

/** The rooms, lowest first, and the rooms that each may import. A room is a folder or a file of `src`. */
export const ROOMS: Record<string, readonly string[]> = {
  errors: [],
  version: [],
  'sorted-names': [],
  concurrent: [],
  protocol: ['errors'],
  records: ['protocol'],
  contracts: ['protocol', 'records'],
  machine: ['protocol'],
  clock: ['contracts'],
  storage: ['contracts', 'records', 'protocol', 'errors', 'sorted-names', 'concurrent', 'workers', 'clock'],
  identity: ['contracts', 'records', 'protocol', 'errors', 'clock', 'workers'],
  outgoing: ['identity', 'errors'],
  engine: ['contracts', 'records', 'protocol', 'errors', 'concurrent'],
  events: ['identity', 'contracts', 'records', 'protocol'],
  audio: ['engine', 'contracts', 'records', 'protocol', 'errors', 'sorted-names', 'workers'],
  calls: ['identity', 'clock', 'contracts', 'records', 'errors'],
  delivery: ['engine', 'events', 'identity', 'outgoing', 'contracts', 'records', 'protocol', 'errors'],
  settings: ['identity', 'protocol'],
  http: [
    ...['settings', 'delivery', 'calls', 'audio', 'events', 'engine', 'outgoing', 'identity'],
    ...['machine', 'contracts', 'records', 'protocol', 'errors', 'version'],
  ],
  compose: [
    ...['http', 'settings', 'delivery', 'calls', 'audio', 'events', 'engine', 'outgoing', 'identity', 'storage'],
    ...['clock', 'contracts', 'records', 'protocol', 'errors'],
  ],
  process: ['compose', 'settings', 'storage', 'identity', 'protocol'],
  main: ['compose', 'process', 'machine', 'settings'],
  import: ['identity', 'protocol'],
  client: ['protocol', 'errors'],
  cli: ['client', 'import', 'compose', 'main', 'settings', 'identity', 'engine', 'protocol', 'version', 'errors'],
  dashboard: ['client', 'protocol', 'errors'],
  workers: ['audio', 'identity', 'contracts', 'records', 'protocol'],
};

/** Folders within a room, lowest first: each imports only those before it. */
export const FOLDERS: readonly (readonly string[])[] = [
  ['protocol', 'protocol/http', 'protocol/schemas', 'protocol/schemas/identity'],
  [
    'engine/files',
    'engine/uploads',
    'engine/body',
    'engine/upkeep',
    'engine/read',
    'engine/receive',
    'engine/trains',
    'engine',
  ],
  [
    ...['identity/limits', 'identity/state', 'identity/rights', 'identity/credentials', 'identity/subjects'],
    ...['identity/sharing', 'identity/federation', 'identity/directory', 'identity'],
  ],
  ['storage/disk/io', 'storage/disk/directory', 'storage/disk', 'storage/lmdb'],
  ['storage/lowdb'],
  ['storage/memory'],
  ['records', 'records/checks'],
  ['delivery/send', 'delivery'],
  [
    ...['http/problems', 'http/request', 'http/observe', 'http/connection', 'http/proxy', 'http/body', 'http/send'],
    ...['http/access', 'http/openapi', 'http/live', 'http/native', 'http/tus', 'http/resumable', 'http/signin'],
    ...['http/api', 'http/api/admin', 'http/pages', 'http'],
  ],
  ['client/transport', 'client/calls', 'client/transfer', 'client/files', 'client'],
  ['cli/shared', 'cli/files', 'cli/manage', 'cli/server', 'cli'],
];

/** Folders of one room that must not import each other. */
export const STRANGERS = [
  ['storage/disk', 'storage/lowdb'],
  ['storage/disk', 'storage/memory'],
  ['storage/lowdb', 'storage/memory'],
  ['http/tus', 'http/resumable'],
] as const;
