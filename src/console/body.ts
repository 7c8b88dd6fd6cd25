/** What routes of the API share: the body by its schema, and refusals. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { z } from 'zod';
import type { Env } from './guard.ts';

export const fail = (c: Context<Env>, status: ContentfulStatusCode, error: string) =>
  c.json({ error }, status);

/** The body as the schema has it, or the answer that refuses it. Only JSON: a form of another site cannot send that. */
export async function bodyOf<T>(
  c: Context<Env>,
  schema: z.ZodType<T>,
): Promise<{ readonly body: T } | Response> {
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? '')) {
    return fail(c, 415, 'Send the body as application/json.');
  }
  let json: unknown;
  try {
    json = await c.req.json();
  } catch {
    return fail(c, 400, 'The body is not valid JSON.');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { body: parsed.data };
  const issue = parsed.error.issues[0];
  return fail(
    c,
    400,
    `The body is not acceptable: ${issue?.path.join('.') || 'body'}: ${issue?.message ?? ''}`,
  );
}

/** The fields of a form; none when the body is not a well-formed one. */
export async function formOf(c: Context<Env>): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await c.req.parseBody();
  } catch {
    return {};
  }
}
