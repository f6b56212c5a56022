/** Parts of schemas that several routes share. */
import Type from 'typebox';

/** The address of an upload, for tus and for resumable uploads. */
export const addressParameter = Type.Object({
  address: Type.String({ description: 'Address of the upload, from Location.' }),
});

/** The rest of the path is the file's name. */
export const nameParameter = Type.Object({
  '*': Type.String({ description: "The file's name, percent-encoded; %2F makes a /." }),
});
