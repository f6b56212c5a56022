/** The back end with a database keeps the promises of every interface. */
import { LMDB } from '../suites/backends.ts';
import { runSuites } from '../suites/suites.ts';

runSuites(LMDB);
