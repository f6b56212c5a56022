/** The back end in memory implements every interface. */
import { MEMORY } from '../suites/backends.ts';
import { runSuites } from '../suites/suites.ts';

runSuites(MEMORY);
