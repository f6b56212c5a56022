/** What every back end must do. A new back end runs these suites with one line. */
import { auditLogSuite } from './audit-log.suite.ts';
import type { BackendUnderTest } from './backends.ts';
import { blobStoreSuite } from './blob-store.suite.ts';
import { boxesSuite } from './boxes.suite.ts';
import { catalogSuite } from './catalog.suite.ts';
import { collectionSuite } from './collection.suite.ts';
import { inspectorSuite } from './inspector.suite.ts';
import { manifestStoreSuite } from './manifest-store.suite.ts';
import { powerSuite } from './power.suite.ts';
import { storeSuite } from './store.suite.ts';

export function runSuites(backend: BackendUnderTest): void {
  blobStoreSuite(backend);
  manifestStoreSuite(backend);
  inspectorSuite(backend);
  catalogSuite(backend);
  collectionSuite(backend);
  auditLogSuite(backend);
  boxesSuite(backend);
  storeSuite(backend);
  powerSuite(backend);
}
