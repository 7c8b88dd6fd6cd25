export { type Catalog, CatalogUnavailable, createCatalog } from './catalog.ts';
export { type CatalogConnection, catalogLogin, connectCatalog } from './catalog-connection.ts';
export { createJudge, type JudgeDeps, type JudgeEvent, type JudgeLog } from './judge.ts';
export { type PolicyFile, type PolicyFileEvent, watchPolicyFile } from './policy-file.ts';
