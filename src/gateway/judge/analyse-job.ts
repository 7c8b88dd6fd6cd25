/** What crosses to the worker: plain data. */
import type { TagSource } from '../../policy/rules/index.ts';
import type { CatalogSnapshot, ResolutionContext } from '../../policy/types.ts';

export interface AnalyseSetup {
  readonly catalog: CatalogSnapshot;
  readonly tags: TagSource;
  readonly trustedFunctions: readonly string[];
}

export interface AnalyseJob {
  readonly sql: string;
  readonly resolution: ResolutionContext;
}
