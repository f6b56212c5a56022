/** Documents of audio files, as they are stored. */

/** Properties of the sound in a file; null if unknown. */
export interface Sound {
  /** Media type, determined from the content. */
  mediaType: string;
  durationSeconds: number | null;
  /** Samples per second. */
  sampleRate: number | null;
  channels: number | null;
  codec: string | null;
}

/** The description of an audio file. Its `FileDocument` has the same id. */
export interface AudioDocument {
  id: string;
  description: string | null;
  /** File name as sent. */
  originalName: string;
  /** Null: the content is not audio. */
  sound: Sound | null;
}
