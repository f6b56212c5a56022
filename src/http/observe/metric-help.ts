/** Help texts of the metrics that other parts of the server provide. As usual for Prometheus, units are base units, and counters end in `_total`. */
export const METRIC_HELP = {
  open_uploads: 'Uploads that are not complete and not parked.',
  parked_uploads: 'Uploads that received no bytes for a long time and no longer count as open.',
  stored_bytes: 'Bytes of files and of unfinished uploads, without journals and documents.',
  damaged_files: 'Complete files whose stored bytes were found damaged.',
  disk_free_bytes: 'Free bytes of the file system of the data directory; NaN when unknown.',
  receiving: 'Requests whose bodies are being received.',
  segments_large_in_use: 'Large buffers that hold received bytes.',
  segments_small_in_use: 'Small buffers that hold received bytes.',
  segments_waiting:
    'Requests that wait for a buffer: the disk is slower than the network, or LADING_BUFFER_BYTES is too small.',
  journal_records_repaired_total: 'Damaged journal records that were repaired since the start.',
  journal_records_lost_total:
    'Damaged journal records that could not be repaired since the start; their bytes are missing again.',
  deliveries_queued: 'Deliveries to FTP servers and webhooks that wait for their turn or their next attempt.',
  deliveries_sending: 'Deliveries that are being sent.',
  deliveries_done_total: 'Deliveries that succeeded since the start.',
  deliveries_failed_total: 'Deliveries that failed after their last attempt since the start.',
  delivery_tries_failed_total: 'Delivery attempts that failed since the start; most are repeated.',
  sign_ins_failed_total: 'Sign-ins that were refused since the start.',
  log_dropped_lines_total: 'Log lines that could not be written since the start.',
  downloads: 'Downloads that are being sent.',
  download_buffer_bytes: 'Memory that downloads hold.',
} as const satisfies Record<string, string>;

export type MetricName = keyof typeof METRIC_HELP;
