/** What the numbers of other rooms mean, for whoever reads `/metrics`. Names by the conventions of Prometheus: base units, counters end in `_total`. */
export const METRIC_HELP = {
  open_uploads: 'Uploads that are not complete and not parked.',
  parked_uploads: 'Uploads for which nothing has arrived for so long that they no longer count as open.',
  stored_bytes: 'Bytes of files and of uploads that are not complete, without journals and documents.',
  damaged_files: 'Complete files of which bytes are missing on the disk, as far as they were looked at.',
  disk_free_bytes: 'Room left on the file system of the data directory; NaN when the system does not tell.',
  receiving: 'Requests whose body is being received.',
  segments_large_in_use: 'Large buffers that hold received bytes.',
  segments_small_in_use: 'Small buffers that hold received bytes.',
  segments_waiting:
    'Requests that wait for a buffer: the disk is slower than the network, or LADING_BUFFER_BYTES is too small.',
  journal_records_repaired_total: 'Damaged records of journals that were put right, since the start.',
  journal_records_lost_total:
    'Damaged records of journals whose bytes are missing again, since the start: the disk damages data.',
  deliveries_queued: 'Deliveries to FTP servers and webhooks that wait for their turn or their next try.',
  deliveries_sending: 'Deliveries that are being sent.',
  deliveries_done_total: 'Deliveries that arrived, since the start.',
  deliveries_failed_total: 'Deliveries that were given up after their last try, since the start.',
  delivery_tries_failed_total: 'Tries of deliveries that failed, since the start; most are tried again.',
  sign_ins_failed_total: 'Sign-ins that were refused, since the start.',
  log_dropped_lines_total: 'Lines of the log that could not be written, since the start.',
  downloads: 'Downloads that are being sent.',
  download_buffer_bytes: 'Memory that downloads hold.',
} as const satisfies Record<string, string>;

export type MetricName = keyof typeof METRIC_HELP;
