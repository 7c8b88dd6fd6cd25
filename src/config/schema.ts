/** The shape of holdpoint.yaml. */
import { z } from 'zod';
import { networkProblem } from '../edge/address.ts';
import { targetUrlProblem, urlProblem } from './url.ts';

const duration = z
  .union([
    z.number().nonnegative(),
    z.string().regex(/^\d+(ms|s|m|h)$/, 'write a duration such as 25s, 10m or 8h'),
  ])
  .transform((value) => {
    if (typeof value === 'number') return value * 1000;
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[value.replace(/^\d+/, '')] ?? 1000;
    return Number.parseInt(value, 10) * unit;
  });
/** Bytes: a number, or such as 16MB. */
const size = z
  .union([z.int(), z.string().regex(/^\d{1,5}(KB|MB|GB)$/, 'write a size such as 512KB, 16MB or 1GB')])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const unit = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }[value.slice(-2)] ?? 1;
    return Number.parseInt(value, 10) * unit;
  });
const count = z.int().min(1).max(100_000);
export const address = z
  .string()
  .regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i, 'write host:port, such as 127.0.0.1:7432')
  .refine((text) => Number(/\d+$/.exec(text)?.[0]) <= 65_535, 'ports end at 65535');
/** Proxies, as addresses or networks. */
const proxies = z
  .array(
    z.string().superRefine((text, context) => {
      const problem = networkProblem(text);
      if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    }),
  )
  .max(200);
const level = z.enum(['none', 'read-only', 'read-write', 'admin']);
export const login = z.strictObject({
  user: z.string().min(1).max(63),
  password: z.string().optional(),
  password_file: z.string().optional(),
});
const url = (problemOf: (text: string) => string | null) =>
  z.string().superRefine((text, context) => {
    const problem = problemOf(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });
const target = z.strictObject({
  url: url(targetUrlProblem),
  environment: z.string().min(1).max(40).default('production'),
  tls: z.enum(['verify-full', 'require', 'disable']).optional(),
  ca_file: z.string().optional(),
  policy: z.string().optional(),
  protocol: z.enum(['strict', 'trusted']).default('strict'),
  accept_privileges: z.array(z.string()).default([]),
  settings: z
    .array(
      z
        .string()
        .regex(/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\.([a-z_][a-z0-9_]*|\*)$/, 'write app.tenant or app.*')
        .refine((name) => !name.startsWith('holdpoint.'), 'is Holdpoint’s own'),
    )
    .default([]),
  logins: z
    .strictObject({ 'read-only': login.optional(), 'read-write': login.optional(), admin: login.optional() })
    .optional(),
  catalog_login: login.optional(),
  server: z
    .string()
    .regex(/^[\w.+-]{3,}( [\w.+-]+)*$/, 'write words of what SELECT version() says, such as PostgreSQL 14')
    .max(100)
    .optional(),
});
const groups = z.array(z.string().min(1).max(200)).max(100);
const called = z
  .string()
  .regex(
    /^([SUW][A-Z0-9]{2,30}|@[a-z0-9][a-z0-9._-]{0,79})$/,
    'write the id of a user group (S…) or user (U…), or @handle of a user group',
  );
export const schema = z.strictObject({
  data: z.string().optional(),
  gateway: z
    .strictObject({
      listen: address.optional(),
      trusted_proxies: proxies.optional(),
      tls: z.strictObject({ cert_file: z.string(), key_file: z.string() }).optional(),
      limits: z
        .strictObject({
          connections: count.optional(),
          per_address: count.optional(),
          per_owner: count.optional(),
          login: duration.refine((ms) => ms >= 1000 && ms <= 60_000, 'is between 1s and 60s').optional(),
          // The server itself takes no more than just under 1 GB.
          message: size
            .refine((bytes) => bytes >= 64 * 1024 && bytes <= 1024 ** 3, 'is between 64KB and 1GB')
            .transform((bytes) => Math.min(bytes, 0x3fffffff))
            .optional(),
          message_time: duration
            .refine((ms) => ms >= 1000 && ms <= 3_600_000, 'is between 1s and 1h')
            .optional(),
          memory: size.refine((bytes) => bytes >= 64 * 1024 * 1024, 'is 64MB or more').optional(),
          owner_memory: size.refine((bytes) => bytes >= 16 * 1024 * 1024, 'is 16MB or more').optional(),
        })
        .optional(),
    })
    .optional(),
  console: z
    .strictObject({
      listen: address.optional(),
      trusted_proxies: proxies.optional(),
      public_url: z.url().optional(),
      oidc: z
        .strictObject({
          issuer: z.url(),
          client_id: z.string().min(1).max(300),
          client_secret: z.string().optional(),
          client_secret_file: z.string().optional(),
          scopes: z
            .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'a scope is one word'))
            .max(20)
            .default(['profile', 'email']),
          groups_claim: z.string().min(1).max(200).default('groups'),
          audience: z.string().min(1).max(300).optional(),
          trust_email: z.boolean().default(false),
          session: duration
            .refine((ms) => ms >= 300_000 && ms <= 86_400_000, 'is between 5m and 24h')
            .default(8 * 3_600_000),
          algorithms: z.array(z.string()).optional(),
        })
        .optional(),
      roles: z
        .strictObject({ approver: groups.optional(), auditor: groups.optional(), admin: groups.optional() })
        .optional(),
    })
    .optional(),
  store: z.strictObject({ url: url(urlProblem) }).optional(),
  policy: z.string().optional(),
  targets: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_-]{0,40}$/, 'a target name is lower case letters, digits, - and _'),
      target,
    )
    .optional(),
  identity: z
    .strictObject({
      issuers: z
        .array(
          z.strictObject({
            issuer: z.url(),
            audience: z.string().min(1),
            algorithms: z.array(z.string()).optional(),
            claims: z
              .strictObject({
                groups: z.string().optional(),
                owner: z.string().optional(),
                agent: z.string().optional(),
                email: z.string().optional(),
              })
              .optional(),
          }),
        )
        .default([]),
      levels: z.record(z.string(), level).default({}),
      policy_admins: z.array(z.string().min(1)).default([]),
      approvers: z
        .array(
          z.strictObject({
            email: z.email().optional(),
            slack: z
              .string()
              .regex(/^[UW][A-Z0-9]{2,20}$/, 'a Slack user id starts with U or W')
              .optional(),
            name: z.string().min(1).max(80),
            groups: z.array(z.string()).default([]),
          }),
        )
        .default([]),
    })
    .optional(),
  slack: z
    .strictObject({
      bot_token: z.string().optional(),
      app_token: z.string().optional(),
      signing_secret: z.string().optional(),
      channel: z.string().optional(),
      api_url: z.url().optional(),
      listen: address.optional(),
      mention: called.optional(),
      match_email: z.boolean().default(false),
      user_groups: z.boolean().default(false),
      routes: z
        .array(
          z
            .strictObject({
              target: z.string().optional(),
              environment: z.string().optional(),
              rule: z.string().optional(),
              channel: z.string().min(1),
              mention: called.optional(),
            })
            .refine(
              ({ target, environment, rule }) => (target ?? environment ?? rule) !== undefined,
              'name a target, an environment or a rule: what fits everything is slack.channel',
            ),
        )
        .max(200)
        .default([]),
      alerts: z
        .strictObject({
          count: z.int().min(2).max(1000).default(5),
          within: duration
            .refine((ms) => ms >= 60_000 && ms <= 24 * 3_600_000, 'is between 1m and 24h')
            .default(10 * 60_000),
          channel: z.string().min(1).optional(),
        })
        .optional(),
    })
    .optional(),
  alerts: z
    .strictObject({
      guesses: z
        .strictObject({
          count: z.int().min(10).max(1_000_000).optional(),
          within: duration
            .refine((ms) => ms >= 60_000 && ms <= 24 * 3_600_000, 'is between 1m and 24h')
            .optional(),
        })
        .optional(),
    })
    .optional(),
  hold: z
    .strictObject({
      agent_wait: duration.optional(),
      person_wait: duration.optional(),
      max_wait: duration.optional(),
      agent_idle_in_transaction: duration
        .refine((ms) => ms >= 1000 && ms <= 86_400_000, 'is between 1s and 24h')
        .optional(),
    })
    .optional(),
});
export type FileConfig = z.infer<typeof schema>;
