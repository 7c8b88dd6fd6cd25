/** manifest.yml against Slack's reference of the format, and against what the code calls. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

/** The names that Slack's own SDK knows for the manifest; the published format does not check them. */
const known = createRequire(createRequire(import.meta.url).resolve('@slack/bolt'));
const sdk = readFileSync(
  known.resolve('@slack/web-api').replace(/index\.js$/, 'types/request/manifest.d.ts'),
  'utf8',
);
function namesOf(type: string): readonly string[] {
  const line = sdk.split('\n').find((each) => each.startsWith(`type ${type} = `)) ?? '';
  return [...line.matchAll(/'([^']+)'/g)].map((each) => each[1] ?? '');
}
const scope = z.enum(namesOf('BotScope'));
const event = z.enum(namesOf('ManifestEvent'));
const text = (max: number) => z.string().min(1).max(max);
const url = z.url({ protocol: /^https$/ });

/** https://docs.slack.dev/reference/app-manifest, the parts of an app without functions, agents and shortcuts; nothing else is let in. */
const format = z.strictObject({
  _metadata: z.strictObject({ major_version: z.literal([1, 2]), minor_version: z.int().min(0) }).partial(),
  display_information: z.strictObject({
    name: text(35),
    description: text(140).optional(),
    background_color: z.string().regex(/^#([0-9a-f]{3}|[0-9a-f]{6})$/i),
  }),
  features: z.strictObject({
    app_home: z.strictObject({
      home_tab_enabled: z.boolean(),
      messages_tab_enabled: z.boolean(),
      messages_tab_read_only_enabled: z.boolean(),
    }),
    bot_user: z.strictObject({
      display_name: z.string().regex(/^[a-z0-9._-]{1,80}$/),
      always_online: z.boolean(),
    }),
    slash_commands: z
      .array(
        z.strictObject({
          command: z.string().regex(/^\/[a-z0-9_-]{1,31}$/),
          description: text(2000),
          usage_hint: text(1000).optional(),
          should_escape: z.boolean().optional(),
          url: url.optional(),
        }),
      )
      .min(1)
      .max(50),
  }),
  oauth_config: z.strictObject({ scopes: z.strictObject({ bot: z.array(scope).min(1).max(255) }) }),
  settings: z.strictObject({
    event_subscriptions: z.strictObject({ bot_events: z.array(event).max(100), request_url: url.optional() }),
    interactivity: z.strictObject({ is_enabled: z.boolean(), request_url: url.optional() }),
    org_deploy_enabled: z.boolean(),
    socket_mode_enabled: z.boolean(),
    token_rotation_enabled: z.boolean(),
  }),
});
const written: unknown = parse(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8'), {
  strict: true,
  uniqueKeys: true,
});
const manifest = format.parse(written);
const folder = new URL('../../src/bot/', import.meta.url);
const source = readdirSync(folder)
  .map((name) => readFileSync(new URL(name, folder), 'utf8'))
  .join('\n');

/** Bot scope of each Web API method; null: none needed. */
const SCOPES: Readonly<Record<string, string | null>> = {
  'auth.test': null,
  'chat.postMessage': 'chat:write',
  'chat.postEphemeral': 'chat:write',
  'chat.update': 'chat:write',
  'conversations.open': 'im:write',
  'files.uploadV2': 'files:write',
  'usergroups.list': 'usergroups:read',
  'usergroups.users.list': 'usergroups:read',
  'users.info': 'users:read',
  'users.lookupByEmail': 'users:read.email',
  'views.open': null,
  'views.publish': null,
};
const called = [
  ...new Set(
    [
      ...source.matchAll(/'((?:auth|chat|files|users|views|conversations|reactions|usergroups)\.[\w.]+)'/g),
    ].map((each) => each[1] ?? ''),
  ),
];

describe('manifest.yml', () => {
  it('is in the format that Slack documents', () => {
    expect(format.safeParse(written).error?.issues ?? []).toEqual([]);
    const { display_information, oauth_config, settings } = manifest;
    for (const wrong of [
      { ...manifest, display_information: { ...display_information, name: 'x'.repeat(36) } },
      { ...manifest, oauth_config: { scopes: { bot: [...oauth_config.scopes.bot, 'chat:writes'] } } },
      { ...manifest, settings: { ...settings, event_subscriptions: { bot_events: ['app_home_open'] } } },
      { ...manifest, settings: { ...settings, socket_mode: true } },
    ])
      expect(format.safeParse(wrong).success).toBe(false);
  });

  it('asks for every scope that is used, and for no other', () => {
    expect(called.filter((method) => !(method in SCOPES))).toEqual([]);
    const needed = new Set(called.map((method) => SCOPES[method] ?? null).filter((each) => each !== null));
    // commands: /hoop. users:read.email: profile.email in users.info.
    expect([...manifest.oauth_config.scopes.bot].sort()).toEqual(
      [...new Set([...needed, 'commands', 'users:read.email'])].sort(),
    );
  });

  it('reads no history and posts nowhere uninvited', () => {
    for (const scope of manifest.oauth_config.scopes.bot) {
      expect(scope).not.toMatch(/history/);
      expect(scope).not.toBe('chat:write.public');
    }
  });

  it('declares the command and the events that are listened to', () => {
    expect(manifest.features.slash_commands.map((each) => each.command)).toEqual(
      [...source.matchAll(/app\.command\('([^']+)'/g)].map((each) => each[1]),
    );
    expect(manifest.features.slash_commands[0]?.should_escape).toBe(true);
    expect(manifest.settings.event_subscriptions.bot_events).toEqual(
      [...source.matchAll(/app\.event\('([^']+)'/g)].map((each) => each[1]),
    );
  });

  it('turns on what taps and App Home need', () => {
    expect(manifest.settings.interactivity.is_enabled).toBe(true);
    expect(manifest.settings.socket_mode_enabled).toBe(true);
    expect(manifest.settings.token_rotation_enabled).toBe(false);
    expect(manifest.settings.org_deploy_enabled).toBe(false);
    expect(manifest.features.app_home.home_tab_enabled).toBe(true);
    // Direct messages go to the messages tab; nobody answers there.
    expect(manifest.features.app_home.messages_tab_enabled).toBe(true);
    expect(manifest.features.app_home.messages_tab_read_only_enabled).toBe(true);
  });
});
