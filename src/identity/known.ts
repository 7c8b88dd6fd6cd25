/**
 * What was issued, in memory: looked at before the store is asked, so that whoever guesses costs no query, and whoever holds something
 * that stands is never taken for one who guesses. Filled at start; what other processes issue is heard of (`heard`), and what was missed
 * while nothing could be heard is read anew (`load`). It says that something was issued; whether it stands is the store's to say.
 */
export interface Known<Entry> {
  /** Everything that is kept, from the store. What it knows stays where the store cannot be asked. */
  load(): Promise<void>;
  get(key: string): Entry | undefined;
  /** null: nobody issued it. Rejects when that cannot be told now. */
  find(key: string): Promise<Entry | null>;
  put(key: string, entry: Entry): void;
  /** Another process issued it. */
  heard(key: string): void;
  /** From now on something may be missed. */
  deaf(): void;
}

/** What is unknown while the store cannot be asked, or has been asked too often: not refused as wrong. */
export class Unchecked extends Error {
  constructor() {
    super('It cannot be checked now; try again shortly.');
    this.name = 'Unchecked';
  }
}

const MAX_ENTRIES = 50_000;
/** Questions at once about what is not known: those about what is go on meanwhile. */
const MAX_ASKED = 4;
/** Until then what another process has just issued is heard of. */
const HEARING_MS = 250;

export function createKnown<Entry>(options: {
  /** Oldest first. */
  readonly all: (limit: number) => Promise<readonly (readonly [string, Entry])[]>;
  readonly fetch: (key: string) => Promise<Entry | null>;
  /** May the store be asked about what is not known? */
  readonly mayAsk: () => boolean;
  readonly isOver: (entry: Entry) => boolean;
}): Known<Entry> {
  const { all, fetch, isOver, mayAsk } = options;
  const entries = new Map<string, Entry>();
  /** Nothing that was issued is missing in `entries`. */
  let whole = false;
  let loads = 0;
  let asked = 0;

  async function ask(key: string): Promise<Entry | null> {
    asked += 1;
    try {
      const found = await fetch(key);
      if (found !== null) put(key, found);
      return found;
    } finally {
      asked -= 1;
    }
  }

  function put(key: string, entry: Entry): void {
    entries.set(key, entry);
    if (entries.size <= MAX_ENTRIES) return;
    for (const [one, value] of entries) if (isOver(value)) entries.delete(one);
    const [oldest] = entries.keys();
    if (entries.size <= MAX_ENTRIES || oldest === undefined) return;
    entries.delete(oldest);
    whole = false;
  }

  return {
    async load() {
      loads += 1;
      const load = loads;
      const rows = await all(MAX_ENTRIES);
      for (const [key, entry] of rows) put(key, entry);
      if (load === loads) whole = rows.length < MAX_ENTRIES;
    },
    get: (key) => entries.get(key),
    async find(key) {
      const known = entries.get(key);
      if (known !== undefined) return known;
      if (asked < MAX_ASKED && mayAsk()) return ask(key);
      await new Promise((resolve) => setTimeout(resolve, HEARING_MS));
      const late = entries.get(key);
      if (late === undefined && !whole) throw new Unchecked();
      return late ?? null;
    },
    put,
    heard(key) {
      fetch(key).then(
        (entry) => {
          if (entry !== null) put(key, entry);
        },
        // Heard of and not read: it is missing now.
        () => {
          whole = false;
        },
      );
    },
    deaf() {
      loads += 1;
      whole = false;
    },
  };
}

export const ISSUED = ['access', 'credential'] as const;
export type Issued = (typeof ISSUED)[number];
/** What is heard of other processes on the store. Each listener is told at once whether anything can be heard. */
export interface IssuedElsewhere {
  onIssued(listener: (kind: Issued, key: string) => void): () => void;
  onHearing(listener: (hearing: boolean) => void): () => void;
}

const AGAIN_MS = 2_000;

/** Filled, and kept so. Rejects when the store cannot be asked. */
export async function follow(
  elsewhere: IssuedElsewhere,
  kept: Readonly<Record<Issued, Pick<Known<unknown>, 'load' | 'heard' | 'deaf'>>>,
): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  const load = () => Promise.all(ISSUED.map((kind) => kept[kind].load()));
  function reload(): void {
    clearTimeout(timer);
    load().catch(() => {
      timer = setTimeout(reload, AGAIN_MS);
      timer.unref();
    });
  }
  await load();
  const offs = [
    elsewhere.onIssued((kind, key) => kept[kind].heard(key)),
    elsewhere.onHearing((hearing) => {
      clearTimeout(timer);
      for (const kind of ISSUED) kept[kind].deaf();
      if (hearing) reload();
    }),
  ];
  return () => {
    clearTimeout(timer);
    for (const off of offs) off();
  };
}
