import { describe, expect, it } from 'vitest';
import {
  readDuration,
  refuseSetting,
  SettingValues,
  splitOptions,
  startupSettings,
} from '../../src/gateway/settings.ts';
import type { SettingChange } from '../../src/policy/types.ts';

const set = (
  name: string,
  value: string | null,
  form: SettingChange['form'] = 'set',
  local = false,
): SettingChange => ({ name, value, form, local });

describe('the allow-list of settings', () => {
  it('passes what changes only presentation, and no-ops', () => {
    for (const [name, value] of [
      ['timezone', 'UTC'],
      ['client_encoding', 'utf-8'],
      ['standard_conforming_strings', 'on'],
      ['search_path', 'a'],
      ['enable_seqscan', 'off'],
      ['role', 'none'],
      ['row_security', 'off'],
      ['restrict_nonsystem_relation_kind', 'view, foreign-table'],
      ['holdpoint.wait', '0'],
    ] as const)
      expect(refuseSetting(set(name, value), false), name).toBeNull();
    expect(refuseSetting(set('*', null, 'reset'), false)).toBeNull();
  });

  it('refuses what changes how text is read or who runs it', () => {
    for (const [name, value] of [
      ['client_encoding', 'SJIS'],
      ['client_encoding', null],
      ['standard_conforming_strings', 'off'],
      ['standard_conforming_strings', null],
      ['role', 'admin'],
      ['role', 'default'],
      ['role', 'NONE'],
      ['session_authorization', 'default'],
      ['session_authorization', 'admin'],
      ['session_replication_role', 'replica'],
      ['debug_print_plan', 'on'],
      ['local_preload_libraries', 'x'],
      ['app.user', '1'],
      ['*', null],
    ] as const)
      expect(refuseSetting(set(name, value, 'set_config'), false), name).not.toBeNull();
    expect(refuseSetting(set('client_encoding', 'SJIS'), true)).not.toBeNull();
    expect(refuseSetting(set('role', 'admin'), true)).toBeNull();
    expect(refuseSetting(set('standard_conforming_strings', 'off'), true)).toBeNull();
  });

  it('of the target’s own making pass where its configuration names them, and belong to what was approved', () => {
    const refused = (name: string, ...custom: string[]) =>
      refuseSetting(set(name, 'a'), false, custom) !== null;
    expect(refused('app.tenant')).toBe(true);
    expect(refused('app.tenant', 'app.tenant')).toBe(false);
    expect(refused('app.user.id', 'app.*')).toBe(false);
    expect(refused('apple.tenant', 'app.*')).toBe(true);
    expect(refused('holdpoint.ahead', 'holdpoint.*')).toBe(true);
    const values = new SettingValues(new Map([['holdpoint.wait', '1s']]));
    values.apply(set('app.tenant', 'a'));
    expect(values.custom()).toEqual([['app.tenant', 'a']]);
    values.apply(set('app.tenant', null, 'set_config'));
    const unknown = values.custom();
    values.apply(set('app.tenant', null, 'set_config'));
    expect(values.custom()).not.toEqual(unknown);
  });

  it('reads options as the server does', () => {
    expect(splitOptions('-c a=1 -cB-c=2 --d-e=x\\ y')).toEqual([
      ['a', '1'],
      ['b_c', '2'],
      ['d_e', 'x y'],
    ]);
    for (const text of ['-c', '-d 5', 'a=1', '-c a']) expect(splitOptions(text), text).toBeNull();
    expect(
      startupSettings(
        new Map([
          ['user', 'u'],
          ['options', '-c role=x'],
        ]),
        false,
      ),
    ).toEqual({ kind: 'refused', name: 'role' });
    expect(
      startupSettings(
        new Map([
          ['user', 'u'],
          ['client_encoding', 'LATIN1'],
          ['application_name', 'psql'],
          ['DateStyle', 'ISO'],
        ]),
        false,
      ),
    ).toMatchObject({ kind: 'ok', applicationName: 'psql', settings: new Map([['datestyle', 'ISO']]) });
  });

  it('reads durations', () => {
    expect(['0', '25s', "'2min'", '1500', '1 h', 'x'].map(readDuration)).toEqual([
      0,
      25_000,
      120_000,
      1500,
      3_600_000,
      null,
    ]);
  });

  it('undoes SET with its transaction and SET LOCAL at its end', () => {
    const values = new SettingValues(new Map([['holdpoint.wait', '9s']]));
    values.apply(set('holdpoint.wait', '1s'));
    values.apply(set('holdpoint.reason', 'why', 'set', true));
    expect([values.get('holdpoint.wait'), values.get('holdpoint.reason')]).toEqual(['1s', 'why']);
    values.transactionEnded(false);
    expect([values.get('holdpoint.wait'), values.get('holdpoint.reason')]).toEqual(['9s', null]);
    values.apply(set('holdpoint.wait', '2s'));
    values.transactionEnded(true);
    expect(values.get('holdpoint.wait')).toBe('2s');
    values.apply(set('holdpoint.wait', null, 'reset'));
    expect(values.get('holdpoint.wait')).toBe('9s');
  });
});
