/**
 * The rules that `LADING_COMPAT` loosens for programs written for older servers; none by default. The code asks `compat.allows(…)`
 * where a rule can be loosened. The log, `lading settings` and `docs/migrating.md` show the sentences below.
 */

/** The loosened rules by family of programs, each described for operators in one or more sentences. */
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

/** A family of programs: the name of an older server. */
export type Family = keyof typeof COMPAT;
/** A rule that a family loosens. */
export type Loosening = { [F in Family]: keyof (typeof COMPAT)[F] }[Family];

export const FAMILIES = Object.keys(COMPAT) as readonly Family[];

/** Describes the rules that a family loosens, one text each; empty if it loosens none. */
export function sentencesOf(family: Family): readonly string[] {
  return Object.values(COMPAT[family]);
}

/** The value of `LADING_COMPAT`: the families whose rules are loosened. */
export class Compat {
  readonly families: readonly Family[];

  constructor(families: readonly Family[] = []) {
    this.families = FAMILIES.filter((family) => families.includes(family));
  }

  /** True if a configured family loosens this rule. */
  allows(rule: Loosening): boolean {
    return this.families.some((family) => rule in COMPAT[family]);
  }

  /** Lines for the log, one per family: a warning with the loosened rules, or a note if the family loosens none. */
  lines(): { warnings: string[]; notes: string[] } {
    const warnings: string[] = [];
    const notes: string[] = [];
    for (const family of this.families) {
      const sentences = sentencesOf(family);
      if (sentences.length > 0) warnings.push(`LADING_COMPAT=${family}: ${sentences.join(' ')}`);
      else notes.push(`LADING_COMPAT=${family} loosens no rules; these programs work without it.`);
    }
    return { warnings, notes };
  }
}
