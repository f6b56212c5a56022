/** Audio files: /v1/audio and /api/upload. These routes store ordinary files and check the content first. */
import type { FastifyInstance, FastifySchema } from 'fastify';
import Type, { type Static } from 'typebox';
import type { AudioEntry, AudioLibrary } from '../../audio/library.ts';
import type { ReceivedFile } from '../../engine/receive/file-upload.ts';
import { LadingError } from '../../errors.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import {
  AudioFile,
  AudioFiles,
  AudioListQuery,
  AudioUploadQuery,
  BareError,
  MAX_DESCRIPTION,
  WavStored,
  WavUploadQuery,
} from '../../protocol/schemas/audio.ts';
import { plainTime } from '../../protocol/times.ts';
import type { Sound } from '../../records/audio.ts';
import { authorizationOf } from '../access/bearer.ts';
import { type DownloadDeps, downloadSchema } from '../native/download.ts';
import { fileSender } from '../native/file-sender.ts';
import { type FormFile, receiveFormFile } from '../native/form-file.ts';
import { Binary, FORM_FILE_ERRORS, formOf } from '../native/form-file-schema.ts';
import { skipBodyValidation } from '../native/upload.ts';
import { type ProblemReply, problemReply } from '../problems/problems.ts';
import { recorderWords } from '../problems/recorder-refusals.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { PRECONDITIONS } from '../request/preconditions.ts';
import { JSON_ARRAY, pagesOf, WHOLE_LIST_STEP, wholeList } from '../send/whole-lists.ts';

/** What these routes need from the server. */
export interface AudioDeps extends DownloadDeps {
  audio: AudioLibrary;
}

const tags = ['Audio'];

/** Registers the audio routes. */
export function audioRoutes(app: FastifyInstance, deps: AudioDeps): void {
  listRoute(app, deps);
  downloadRoute(app, deps);
  app.register(async (scope) => uploadRoute(scope, deps));
  app.register(async (scope) => wavRoute(scope, deps));
}

function listRoute(app: FastifyInstance, deps: AudioDeps): void {
  const { audio } = deps;
  const schema = {
    tags,
    summary: 'Lists your audio files, uploaded by any route, oldest first. With limit, returns one page.',
    querystring: AudioListQuery,
    response: { 200: AudioFiles },
    documented: { replies: { 200: ['Cache-Control', 'Link'] }, errors: SIGNED_IN },
  } satisfies FastifySchema;
  // Older programs omit the slash.
  for (const [url, shown] of [
    ['/v1/audio/', schema],
    ['/v1/audio', { ...schema, hide: true }],
  ] as const) {
    app.get<{ Querystring: AudioListQuery }>(url, {
      schema: shown,
      config: { needs: 'files:read' },
      handler: async (request, reply) => {
        const { limit, cursor = null } = request.query;
        const { id } = request.principal;
        const owner = ownerOf(request.principal);
        reply.header('cache-control', 'no-store');
        if (limit === undefined) {
          const pages = pagesOf(async (after: string | null) => {
            const { entries, nextCursor } = await audio.page(owner, after, WHOLE_LIST_STEP);
            return { items: entries.map((entry) => audioFile(entry, id)), next: nextCursor };
          }, cursor);
          reply.type('application/json; charset=utf-8');
          return wholeList(pages, { ...JSON_ARRAY, isAuthorized: authorizationOf(deps, request) });
        }
        const { entries, nextCursor } = await audio.page(owner, cursor, limit);
        if (nextCursor !== null) {
          const next = request.site.path(`/v1/audio/?limit=${limit}&cursor=${encodeURIComponent(nextCursor)}`);
          reply.header('link', `<${next}>; rel="next"`);
        }
        return entries.map((entry) => audioFile(entry, id));
      },
    });
  }
}

function uploadRoute(app: FastifyInstance, deps: AudioDeps): void {
  const { engine, audio } = deps;
  app.post<{ Querystring: AudioUploadQuery }>('/v1/audio/file', {
    schema: {
      tags,
      summary: 'Stores a whole audio file from the part "file" of a form. The content determines the media type.',
      querystring: AudioUploadQuery,
      body: formOf({ file: Binary, file_description: Type.Optional(Type.String()) }),
      response: { 200: AudioFile },
      documented: {
        request: PRECONDITIONS,
        errors: FORM_FILE_ERRORS,
      },
    },
    validatorCompiler: skipBodyValidation,
    config: { needs: 'files:write' },
    handler: async (request, reply): Promise<AudioFile> => {
      const { file_description: described, overwrite = false } = request.query;
      const owner = ownerOf(request.principal);
      let sound: Sound | null = null;
      const inspect: FormFile['inspect'] = async (arrived, { fields }) => {
        checkDescription(fields.get('file_description'));
        sound = await soundOf(audio, owner, arrived);
        return sound.mediaType;
      };
      const isAuthorized = authorizationOf(deps, request);
      const form = { fields: ['file_description'], query: Object.keys(AudioUploadQuery.properties) };
      const formFile: FormFile = {
        part: 'file',
        form,
        owner,
        overwrite,
        nameIfTaken: (name) => name,
        isAuthorized,
        inspect,
      };
      const { status, fields, fileName } = await receiveFormFile(engine, request, reply, formFile);
      const { filename: name, id } = status;
      if (!sound || id === null) throw new Error('a file was stored without inspection');
      const description = described ?? fields.get('file_description') ?? null;
      const entry = await audio.describe(owner, { id, description, originalName: fileName ?? name, sound });
      if (!entry) throw new LadingError('not_found', 'The file was deleted or replaced during the request.');
      return audioFile(entry, request.principal.id);
    },
  });
}

function downloadRoute(app: FastifyInstance, deps: AudioDeps): void {
  const send = fileSender(app, deps);
  app.route<{ Params: { pk: string } }>({
    method: ['GET', 'HEAD'],
    url: '/v1/audio/file/:pk',
    schema: {
      ...downloadSchema,
      tags,
      summary: 'Downloads an audio file, or ranges of it, with its real media type.',
      params: Type.Object({ pk: Type.String({ description: 'The id of the audio file.' }) }),
      querystring: Type.Object({}),
    },
    config: { needs: 'files:read', frequent: true, guarded: 'downloads' },
    handler: async (request, reply) => {
      const owner = ownerOf(request.principal);
      const entry = await deps.audio.find(owner, request.params.pk);
      if (!entry) throw new LadingError('not_found', 'There is no audio file with this id.');
      const { file, document } = entry;
      return send({ owner, name: file.name, id: file.id, contentType: document.sound.mediaType }, request, reply);
    },
  });
}

function wavRoute(app: FastifyInstance, deps: AudioDeps): void {
  const { engine, audio } = deps;
  app.post<{ Querystring: WavUploadQuery }>('/api/upload', {
    schema: {
      tags,
      summary: 'Stores a whole .wav file from the part "audio_file" of a form, after checking its name and content.',
      querystring: WavUploadQuery,
      body: formOf({ audio_file: Binary }),
      response: { 201: WavStored },
      documented: {
        request: PRECONDITIONS,
        errors: [...SIGNED_IN, 'invalid_request', 'precondition_failed'],
        refusal: BareError,
      },
    },
    validatorCompiler: skipBodyValidation,
    config: { needs: 'files:write', refusal: bareError },
    handler: async (request, reply): Promise<WavStored> => {
      const owner = ownerOf(request.principal);
      let sound: Sound | null = null;
      const formFile: FormFile = {
        part: 'audio_file',
        form: { fields: [], query: Object.keys(WavUploadQuery.properties) },
        owner,
        overwrite: request.query.overwrite ?? false,
        nameIfTaken: (name) => `${stampOf(deps.clock.now())}_${request.principal.id}_${name}`,
        isAuthorized: authorizationOf(deps, request),
        name: (fileName) => {
          if (fileName !== null && /.\.wav$/i.test(fileName)) return fileName;
          throw new LadingError('unsupported_media_type', 'Only files named *.wav are accepted here.');
        },
        inspect: async (arrived) => {
          sound = await soundOf(audio, owner, arrived);
          if (sound.mediaType !== 'audio/wav') throw invalidContent('WAV');
          return sound.mediaType;
        },
      };
      const { status, fileName } = await receiveFormFile(engine, request, reply, formFile);
      const { filename: name, id } = status;
      if (!sound || id === null) throw new Error('a file was stored without inspection');
      await audio.describe(owner, { id, description: null, originalName: fileName ?? name, sound });
      reply.code(201);
      return {
        status: 'success',
        message: 'File uploaded successfully',
        filename: name,
        local_path: name,
        uploaded_by: request.principal.id,
      };
    },
  });
}

/** `YYYYMMDD_HHMMSS`, UTC. */
function stampOf(time: number): string {
  return plainTime(time).replaceAll(/[-:]/g, '').replace('T', '_');
}

async function soundOf(audio: AudioLibrary, owner: string, arrived: ReceivedFile): Promise<Sound> {
  const sound = await audio.soundOf(owner, arrived);
  if (!sound) throw new LadingError('unsupported_media_type', NOT_AUDIO);
  return sound;
}

/** The error for a file that is not audio. The server does not know the exact reason. */
const NOT_AUDIO =
  'The content is not audio, or it is damaged. Accepted are WAV (also RF64 and BW64), MP3, AAC, M4A, 3GP, QuickTime, Ogg, Opus, FLAC, ' +
  'AIFF, AU, CAF, AMR, AC-3, WebM, Matroska, WMA and WavPack; files with a picture track are films. Convert it to one of them.';

function invalidContent(what: string): LadingError {
  return new LadingError('unsupported_media_type', `The content is not ${what}, or it is damaged.`);
}

function checkDescription(description: string | undefined): void {
  if (description === undefined || description.length <= MAX_DESCRIPTION) return;
  throw new LadingError('invalid_request', `file_description may have at most ${MAX_DESCRIPTION} characters.`);
}

function audioFile({ file, document }: AudioEntry, user: string): AudioFile {
  const { durationSeconds, sampleRate, channels, codec } = document.sound;
  return {
    id: file.id,
    file_name: file.name,
    file_description: document.description,
    file_size: file.size ?? 0,
    user_id: user,
    original_name: document.originalName,
    duration_seconds: durationSeconds,
    sample_rate: sampleRate,
    channels,
    codec,
  };
}

/** Writes `error` and `message`. Errors of the upload have the status 400; errors of header fields keep their status. */
function bareError(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const reply = problemReply(error, requestId, credentials);
  const keepsStatus =
    [401, 403, 408, 412, 429, 431].includes(reply.status) || reply.status >= 500 || error.members.header !== undefined;
  const words: Static<typeof BareError> = { error: error.message, ...recorderWords(error, credentials) };
  const body = Buffer.from(JSON.stringify(words));
  const headers = {
    ...reply.headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(body.length),
  };
  return { status: keepsStatus ? reply.status : 400, headers, body };
}
