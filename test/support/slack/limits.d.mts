type Fault = readonly [error: string, where: string] | null;
export function checkMessage(
  args: { readonly text?: unknown; readonly blocks?: unknown },
  options?: { readonly update?: boolean },
): Fault;
export function checkView(view: unknown): Fault;
export function badMrkdwn(text: string): string | null;
export function total(value: unknown): number;
