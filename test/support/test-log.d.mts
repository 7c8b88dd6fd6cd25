type Noted =
  | { readonly kind: 'begin'; readonly what: 'file' | 'test'; readonly name: string }
  | { readonly kind: 'end'; readonly what: 'file' | 'test'; readonly name: string; readonly failed: boolean }
  | { readonly kind: 'property'; readonly name: string; readonly seed: number }
  | {
      readonly kind: 'checked';
      readonly name: string;
      readonly seed: number;
      readonly ms: number;
      readonly why: string | null;
    };
export type Entry = Noted & { readonly at: number };
export function note(entry: Noted): void;
export function entries(text: string): readonly Entry[];
export function unfinished(all: readonly Entry[], until?: number): readonly string[];
