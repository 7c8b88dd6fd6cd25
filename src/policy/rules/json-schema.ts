/** The shape of a policy file for editors (docs/policy.schema.json is this, and `holdpoint policy schema` prints it). */
import { z } from 'zod';
import { policySchema } from './schema.ts';

export function policyJsonSchema(): object {
  return {
    title: 'Holdpoint policy',
    description: 'What runs at once, what waits for a human, what never runs. Reference: docs/policy.md',
    ...z.toJSONSchema(policySchema, { io: 'input' }),
  };
}
