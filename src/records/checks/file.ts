/** Validates stored documents of files and uploads, field by field. */
import type { ConcatenationDocument, FileDocument, ResourceDocument } from '../file.ts';
import { documentFields, type Fields } from './fields.ts';

/** Validates the document of a file. Throws an Error that names a missing or invalid field. */
export function checkFile(value: unknown, id: string): FileDocument {
  const fields = documentFields(value, 'id', id);
  const reprDigest = fields.isNull('reprDigest') ? null : fields.fields('reprDigest');
  return Object.freeze({
    id,
    owner: fields.text('owner'),
    name: fields.text('name'),
    state: fields.oneOf('state', ['open', 'sealed']),
    size: fields.countOrNull('size'),
    contentType: fields.textOrNull('contentType'),
    reprDigest:
      reprDigest === null
        ? null
        : { algorithm: reprDigest.oneOf('algorithm', ['sha-256', 'sha-512']), value: reprDigest.text('value') },
    crc32: fields.countOrNull('crc32'),
    createdAt: fields.count('createdAt'),
    updatedAt: fields.count('updatedAt'),
    completedAt: fields.countOrNull('completedAt'),
    ...(fields.has('sealedAt') ? { sealedAt: fields.count('sealedAt') } : {}),
    ...(fields.has('modifiedAt') ? { modifiedAt: fields.count('modifiedAt') } : {}),
    replaces: fields.textOrNull('replaces'),
    ...(fields.has('staleAt') ? { staleAt: fields.count('staleAt') } : {}),
    ...(fields.has('undeclared') ? { undeclared: true } : {}),
    ...(fields.has('continues') ? { continues: checkContinues(fields.fields('continues')) } : {}),
    ...(fields.has('overwrites') ? { overwrites: true } : {}),
    ...(fields.has('aside') ? { aside: true } : {}),
    ...(fields.has('ends') ? { ends: fields.texts('ends') } : {}),
    ...(fields.has('pieces') ? { pieces: fields.list('pieces').map(checkBlob) } : {}),
    ...(fields.has('resource') ? { resource: checkResource(fields.fields('resource')) } : {}),
  });
}

function checkContinues(fields: Fields): NonNullable<FileDocument['continues']> {
  return { size: fields.count('size'), crc32: fields.count('crc32'), completedAt: fields.count('completedAt') };
}

function checkResource(fields: Fields): ResourceDocument {
  const creator = fields.fields('creator');
  return {
    keyHash: fields.text('keyHash'),
    creator: { id: creator.text('id'), kind: creator.oneOf('kind', ['device', 'person']) },
    metadata: fields.textOrNull('metadata'),
    ...(fields.has('endsWhenTold') ? { endsWhenTold: true } : {}),
    ...(fields.has('partial') ? { partial: true } : {}),
    ...(fields.has('joined') ? { joined: true } : {}),
    ...(fields.has('final') ? { final: checkConcatenation(fields.fields('final')) } : {}),
  };
}

function checkBlob(fields: Fields): { id: string; size: number } {
  return { id: fields.text('id'), size: fields.count('size') };
}

function checkConcatenation(fields: Fields): ConcatenationDocument {
  return { parts: fields.texts('parts'), said: fields.text('said') };
}
