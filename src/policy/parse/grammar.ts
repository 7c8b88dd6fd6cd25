/**
 * PostgreSQL's grammar, one for each major: what is a keyword in a newer one is the name of a user's function or column in an older one, so
 * that a text is judged by the grammar of the server that runs it. Loaded when a target needs it; the scanner and the PL/pgSQL parser are 18's.
 */
import { hasSqlDetails, loadModule, parseSync, SqlError } from 'libpg-query';
import { type Grammar, NEWEST } from '../server.ts';

export interface Reader {
  /** As the grammar's own package gives it. */
  read(sql: string): unknown;
  /** null: the error is no syntax error, and may have spoilt the instance. */
  faultOf(error: unknown): { readonly message: string; readonly position: number | null } | null;
}

/** What the packages have in common. */
interface Package {
  parseSync(sql: string): unknown;
  readonly SqlError: abstract new (...given: never[]) => Error;
  hasSqlDetails(error: unknown): boolean;
}

const readers = new Map<Grammar, Reader>();

/** 18's, which brings the scanner. */
export const loadParser = (): Promise<void> => loadGrammar(NEWEST);

export async function loadGrammar(grammar: Grammar): Promise<void> {
  if (!readers.has(NEWEST)) {
    await loadModule();
    readers.set(NEWEST, readerOf({ parseSync, SqlError, hasSqlDetails }));
  }
  if (grammar !== NEWEST && !readers.has(grammar)) readers.set(grammar, readerOf(await older(grammar)));
}

/** They refuse a blank text. */
async function older(grammar: Exclude<Grammar, 18>): Promise<Package> {
  const own = await LOAD[grammar]();
  await own.loadModule();
  const { SqlError, hasSqlDetails } = own;
  return { parseSync: (sql) => own.parseSync(sql.trim() === '' ? `${sql};` : sql), SqlError, hasSqlDetails };
}

const LOAD: Readonly<Record<Exclude<Grammar, 18>, () => Promise<Package & { loadModule(): Promise<void> }>>> =
  {
    15: () => import('libpg-query-15'),
    16: () => import('libpg-query-16'),
    17: () => import('libpg-query-17'),
  };

function readerOf(own: Package): Reader {
  return {
    read: own.parseSync,
    faultOf(error) {
      if (!(error instanceof own.SqlError)) return null;
      const details = 'sqlDetails' in error && own.hasSqlDetails(error) ? error.sqlDetails : undefined;
      const at =
        typeof details === 'object' && details !== null && 'cursorPosition' in details
          ? details.cursorPosition
          : undefined;
      return { message: error.message, position: typeof at === 'number' ? at + 1 : null };
    },
  };
}

/** Throws where it was not loaded. */
export function reader(grammar: Grammar): Reader {
  const known = readers.get(grammar);
  if (known === undefined) throw new Error(`the grammar of PostgreSQL ${grammar} is not loaded`);
  return known;
}
