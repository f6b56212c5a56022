/** The memory back end keeps the promises of every interface. */
import { MEMORY } from '../doors/backends.ts';
import { runSuites } from '../doors/suites.ts';

runSuites(MEMORY);
