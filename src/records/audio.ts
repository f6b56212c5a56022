/** What is known of audio files, as it is stored. */

/** What is to be heard in a file; null where it does not tell. */
export interface Sound {
  /** By the content. */
  mediaType: string;
  durationSeconds: number | null;
  /** Samples per second. */
  sampleRate: number | null;
  channels: number | null;
  codec: string | null;
}

/** What is known of an audio file besides its `FileDocument`, which has the same id. */
export interface AudioDocument {
  id: string;
  description: string | null;
  /** What the sender called it. */
  originalName: string;
  /** Null: it was looked at, and is no audio. */
  sound: Sound | null;
}
