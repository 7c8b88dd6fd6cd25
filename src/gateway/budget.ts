/**
 * What clients may keep in this process's memory, by owner and for all together (I7): with many connections of one credential nobody takes more
 * than an owner's share, and where all of it is taken, whoever has most gives way to who has less.
 */
export interface BudgetLimits {
  readonly perOwner: number;
  readonly total: number;
}

interface Owner {
  used: number;
  /** Oldest first. */
  readonly accounts: Set<Account>;
}

export class MemoryBudget {
  readonly #limits: BudgetLimits;
  readonly #onChange: (used: number) => void;
  readonly #owners = new Map<string, Owner>();
  #used = 0;

  /** `onChange` is told what is used after each change. */
  constructor(limits: BudgetLimits, onChange: (used: number) => void = () => {}) {
    this.#limits = limits;
    this.#onChange = onChange;
  }

  get used(): number {
    return this.#used;
  }

  /** `giveWay` lets go of what it can at once, and says so to the account. */
  open(owner: string, giveWay: () => void = () => {}): Account {
    const its = this.#owners.get(owner) ?? { used: 0, accounts: new Set<Account>() };
    this.#owners.set(owner, its);
    const account = new Account({
      room: (bytes) => this.#room(its, bytes),
      add: (bytes) => {
        its.used += bytes;
        this.#used += bytes;
        this.#onChange(this.#used);
      },
      close: () => {
        its.accounts.delete(account);
        if (its.accounts.size === 0) this.#owners.delete(owner);
      },
      giveWay,
    });
    its.accounts.add(account);
    return account;
  }

  #room(mine: Owner, bytes: number): boolean {
    if (mine.used + bytes > this.#limits.perOwner) return false;
    while (this.#used + bytes > this.#limits.total) if (!this.#makeRoom(mine.used + bytes)) return false;
    return true;
  }

  /** From the owner who has most, and more than whoever asks would have. */
  #makeRoom(least: number): boolean {
    const rivals = [...this.#owners.values()]
      .filter(({ used }) => used > least)
      .sort((a, b) => b.used - a.used);
    for (const { accounts } of rivals)
      for (const account of accounts) {
        const before = this.#used;
        account.giveWay();
        if (this.#used < before) return true;
      }
    return false;
  }
}

interface Share {
  room(bytes: number): boolean;
  add(bytes: number): void;
  close(): void;
  giveWay(): void;
}

export class Account {
  readonly #budget: Share;
  #used = 0;
  #closed = false;

  constructor(budget: Share) {
    this.#budget = budget;
  }

  /** Would there be room for so much more? */
  has(bytes: number): boolean {
    return !this.#closed && (bytes <= 0 || this.#budget.room(bytes));
  }

  /** false: there is no room, and nothing was taken. */
  take(bytes: number): boolean {
    if (!this.has(bytes)) return false;
    this.add(bytes);
    return true;
  }

  /** What is there already, or (less than nothing) is not there any more. */
  add(bytes: number): void {
    if (this.#closed || bytes === 0) return;
    this.#used += bytes;
    this.#budget.add(bytes);
  }

  giveWay(): void {
    this.#budget.giveWay();
  }

  close(): void {
    if (this.#closed) return;
    this.add(-this.#used);
    this.#closed = true;
    this.#budget.close();
  }
}
