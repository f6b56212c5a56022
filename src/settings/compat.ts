/**
 * What `LADING_COMPAT` loosens for programs that were written against older servers. Nothing of it is on by default. The few
 * places that loosen something ask `compat.allows(…)`; the log, `lading settings` and `docs/migrating.md` show the same sentences.
 */

/** By family of programs: each loosening, and what a person should know of it, as a sentence. */
export const COMPAT = {
  'file-transfer': {
    replaceFromStart:
      'A chunk of POST /api/files/upload that starts at byte 0 and differs from a complete file of that name replaces the file, without overwrite=true.',
    emptyChunk: 'A chunk of POST /api/files/upload with a header for 0-0 and no data stores an empty file.',
  },
  'audio-ftp': {
    refreshAlone:
      'A refresh token of POST /api/oauth/token is exchanged for access tokens without the id and secret of the client.',
    keepRefreshToken: 'A refresh token of POST /api/oauth/token can be used again and again until it expires.',
    showFtpTarget:
      'GET /api/config shows the host, port, user name and directory of the first FTP target to every client of its tenant. The password stays masked.',
  },
  'ops-client': {
    replaceSameName:
      'POST /ops/upload replaces the complete file of the same name, without overwrite=true. Of several concurrent uploads, the last one to complete remains. An unfinished upload of the name is cancelled.',
  },
  talk: {
    localTokens:
      'Programs that connect from a loopback address create, list and revoke API tokens at /api/tokens without signing in. The tokens belong to the client talk. A proxy on this machine must send X-Forwarded-For; otherwise all its clients count as such programs.',
  },
  'audio-hosting': {},
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

export type Family = keyof typeof COMPAT;
export type Loosening = { [F in Family]: keyof (typeof COMPAT)[F] }[Family];

// Its keys are exactly those of the table above.
export const FAMILIES = Object.keys(COMPAT) as readonly Family[];

/** What a family loosens, a sentence each; empty for a family that needs nothing loosened. */
export function sentencesOf(family: Family): readonly string[] {
  return Object.values(COMPAT[family]);
}

/** The value of `LADING_COMPAT`: which families' programs are served as the older servers did. */
export class Compat {
  readonly families: readonly Family[];

  constructor(families: readonly Family[] = []) {
    this.families = FAMILIES.filter((family) => families.includes(family));
  }

  allows(what: Loosening): boolean {
    return this.families.some((family) => what in COMPAT[family]);
  }

  /** Lines for the log, one for each family: a warning for what it loosens, a note where that is nothing. */
  lines(): { warnings: string[]; notes: string[] } {
    const warnings: string[] = [];
    const notes: string[] = [];
    for (const family of this.families) {
      const sentences = sentencesOf(family);
      if (sentences.length > 0) warnings.push(`LADING_COMPAT=${family}: ${sentences.join(' ')}`);
      else notes.push(`LADING_COMPAT=${family} loosens nothing; what these programs need works for everybody.`);
    }
    return { warnings, notes };
  }
}
