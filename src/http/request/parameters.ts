/** Schemas of path parameters that several routes share. */
import Type from 'typebox';

/** The address of an upload, for tus and for resumable uploads. */
export const addressParameter = Type.Object({
  address: Type.String({ description: 'Address of the upload, from Location.' }),
});

/** The name of a file, which is the rest of the path. */
export const nameParameter = Type.Object({
  '*': Type.String({ description: "The file's name, percent-encoded; %2F makes a /." }),
});
