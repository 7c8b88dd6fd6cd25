/** manifest.yml against what the code calls: Slack's own schema misses bad scope and event names. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

interface Manifest {
  display_information: { name: string; description: string; background_color: string };
  features: {
    app_home: { home_tab_enabled: boolean };
    bot_user: { display_name: string; always_online: boolean };
    slash_commands: { command: string; description: string; usage_hint: string; should_escape: boolean }[];
  };
  oauth_config: { scopes: { bot: string[] } };
  settings: {
    event_subscriptions: { bot_events: string[] };
    interactivity: { is_enabled: boolean };
    socket_mode_enabled: boolean;
    token_rotation_enabled: boolean;
    org_deploy_enabled: boolean;
  };
}
const manifest: Manifest = parse(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8'));
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
  'files.uploadV2': 'files:write',
  'users.info': 'users:read',
  'views.open': null,
  'views.publish': null,
};
const called = [
  ...new Set(
    [...source.matchAll(/'((?:auth|chat|files|users|views|conversations|reactions|usergroups)\.\w+)'/g)].map(
      (each) => each[1] ?? '',
    ),
  ),
];

describe('manifest.yml', () => {
  it('keeps to the lengths', () => {
    expect(manifest.display_information.name.length).toBeLessThanOrEqual(35);
    expect(manifest.display_information.description.length).toBeLessThanOrEqual(140);
    expect(manifest.features.bot_user.display_name.length).toBeLessThanOrEqual(80);
    expect(manifest.display_information.background_color).toMatch(/^#[0-9a-f]{6}$/);
    for (const command of manifest.features.slash_commands) {
      expect(command.command).toMatch(/^\/[a-z0-9_-]{1,31}$/);
      expect(command.description.length).toBeLessThanOrEqual(2000);
      expect(command.usage_hint.length).toBeLessThanOrEqual(1000);
    }
  });

  it('asks for every scope that is used, and for no other', () => {
    expect(called.filter((method) => !(method in SCOPES))).toEqual([]);
    const needed = new Set(called.map((method) => SCOPES[method] ?? null).filter((each) => each !== null));
    // commands: /hoop. users:read.email: profile.email in users.info.
    expect([...manifest.oauth_config.scopes.bot].sort()).toEqual(
      [...needed, 'commands', 'users:read.email'].sort(),
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
  });
});
