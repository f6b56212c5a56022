/** Uploads: lifetime, size limits and resources. */
import { availableParallelism } from 'node:os';
import { GIB, MIB, TIB } from '../../protocol/sizes.ts';
import { setting } from '../setting.ts';

const SECONDS_PER_YEAR = 366 * 24 * 3600;

export const UPLOADS = [
  setting(
    'staleSeconds',
    'int',
    '86400',
    'An upload that receives nothing for this long is parked: it keeps its bytes, continues with the next ones, and does not count as open',
    { min: 1, max: 10 * SECONDS_PER_YEAR },
  ),
  setting(
    'staleRemoveDays',
    'int',
    '30',
    'A parked upload is removed with its bytes after this many more days; 0: never',
    { min: 0, max: 3650 },
  ),
  setting(
    'cleanupCron',
    'cron',
    '0 * * * *',
    'When the server looks for uploads to park or remove, as a cron expression; it also does so at start',
  ),
  setting(
    'openEndedSeconds',
    'int',
    '900',
    'A file of undeclared size without gaps is sealed when nothing has arrived for this long',
    { min: 1, max: SECONDS_PER_YEAR },
  ),
  setting('maxChunkBytes', 'size', '1GiB', 'Maximum size of a chunk, without its header', { min: 1 }),
  setting('maxFileBytes', 'size', '1TiB', 'Maximum size of a file', { min: 1 }),
  setting('workers', 'int', String(availableParallelism()), 'Threads that compute checksums and write', {
    min: 1,
    max: 256,
  }),
  setting(
    'bufferBytes',
    'size',
    '32MiB',
    'Memory for data in transit from sockets to disk; downloads use half as much in addition',
    { min: 8 * MIB, max: TIB },
  ),
  setting(
    'storage',
    'storage',
    'disk',
    'disk: a directory for each file; lmdb: documents, records and small chunks in one database',
  ),
  setting(
    'durability',
    'durability',
    'chunk',
    'chunk: every acknowledged chunk is on stable storage; seal: complete files are',
  ),
  setting(
    'idleSeconds',
    'int',
    '120',
    'A request that sends no byte for this long is ended; after 10 s if another request waits to send the same bytes',
    { min: 1, max: 86_400 },
  ),
  setting(
    'minBytesPerSecond',
    'size',
    '1',
    'Uploads that are slower, averaged over a minute, are ended; 0: no minimum',
    {
      min: 0,
      max: GIB,
    },
  ),
] as const;
