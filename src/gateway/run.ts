/** One statement on its way through the server: what came back of it, within bounds, for the record and for its approval. */
import type { Outcome } from '../approvals/types.ts';
import type { RecordedEvent } from '../recordings/types.ts';
import type { Approval } from './clearance.ts';
import { isTagged, type Plan, shownValue } from './plan.ts';
import { decodeDataRow, decodeTag, type Field, type ServerError, tagRows } from './wire/backend.ts';

const MAX_ROWS = 200;
const MAX_BYTES = 64 * 1024;
const MAX_VALUE = 4096;

export class Run {
  /** Number in the recording. */
  readonly n: number;
  readonly plan: Plan;
  readonly approval: Approval | null;
  readonly startedAt: number;
  /** Copied COPY rows and the like are counted by the tag. */
  rows = 0;
  tag: string | null = null;
  error: ServerError | null = null;
  readonly #withheld: boolean;
  readonly #resultFormats: readonly number[];
  #fields: readonly Field[] | null;
  #values: (string | null)[][] = [];
  #bytes = 0;
  #truncated = false;

  constructor(options: {
    readonly n: number;
    readonly plan: Plan;
    readonly approval: Approval | null;
    readonly startedAt: number;
    readonly fields: readonly Field[] | null;
    /** Of the Bind; none for a simple Query, whose RowDescription tells. */
    readonly resultFormats: readonly number[];
  }) {
    this.n = options.n;
    this.plan = options.plan;
    this.approval = options.approval;
    this.startedAt = options.startedAt;
    this.#fields = options.fields;
    this.#resultFormats = options.resultFormats;
    this.#withheld = isTagged(options.plan);
  }

  get withheld(): boolean {
    return this.#withheld;
  }

  describe(fields: readonly Field[]): void {
    this.#fields = fields;
  }

  /** false: enough is kept, further rows need not be looked into. */
  get keeping(): boolean {
    return !this.#withheld && !this.#truncated;
  }

  row(message: Buffer): void {
    this.rows += 1;
    if (!this.keeping) return;
    if (this.#values.length >= MAX_ROWS || this.#bytes + message.length > MAX_BYTES) {
      this.#truncated = true;
      return;
    }
    this.#bytes += message.length;
    this.#values.push(
      decodeDataRow(message).map((value, i) =>
        value === null
          ? null
          : shownValue(value, this.#format(i), this.#fields?.[i]?.typeOid ?? 0, MAX_VALUE),
      ),
    );
  }

  /** A row that went by unseen, or COPY data out. */
  unseen(counted: boolean): void {
    if (counted) this.rows += 1;
    this.#truncated = true;
  }

  complete(message: Buffer): string {
    this.tag = decodeTag(message);
    return this.tag;
  }

  outcome(now: number, transactionOpen: boolean): Outcome {
    return {
      code: this.error?.code ?? null,
      rows: this.tag === null ? null : tagRows(this.tag),
      tag: this.tag,
      ms: Math.max(0, now - this.startedAt),
      transactionOpen,
    };
  }

  result(now: number): RecordedEvent {
    const { error } = this;
    return {
      kind: 'result',
      t: now,
      n: this.n,
      ms: Math.max(0, now - this.startedAt),
      tag: this.tag,
      rows: this.tag === null ? this.rows : (tagRows(this.tag) ?? this.rows),
      columns: (this.#fields ?? []).slice(0, 200).map((field) => field.name),
      values: this.#values,
      truncated: this.#truncated,
      withheld: this.#withheld,
      // Of a tagged statement only the code is kept; of others that expose, the text is the gateway's own (I3).
      error:
        error === null
          ? null
          : { code: error.code, message: this.#withheld ? '(withheld)' : error.message.slice(0, 1000) },
    };
  }

  #format(column: number): number {
    const formats = this.#resultFormats;
    if (formats.length === 0) return this.#fields?.[column]?.format ?? 0;
    return (formats.length === 1 ? formats[0] : formats[column]) ?? 0;
  }
}
