/**
 * A process of its own: parent of one postmaster, which it stops when Holdpoint says so or is gone (IPC disconnect,
 * also after kill -9). It runs in a session of its own, so that Ctrl-C in the terminal reaches Holdpoint alone.
 *
 * Node 20 cannot run TypeScript and tests run from the sources: this file therefore has no type syntax at all, and
 * its text is valid JavaScript as it stands.
 */
import { spawn } from 'node:child_process';

const FAST = 10_000;
const ORPHANED = 5_000;

process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('SIGHUP', () => {});

// `watch uid gid command arguments…`; an empty uid leaves the user as it is.
const [uid = '', gid = '', command = '', ...args] = process.argv.slice(process.argv.indexOf('watch') + 1);

// Before the word to start comes there is nothing to stop.
const leave = () => process.exit(0);
process.once('disconnect', leave);

process.once('message', () => {
  process.off('disconnect', leave);
  const postmaster = spawn(command, args, {
    cwd: '/',
    env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
    // Our 1 and 2 are the log.
    stdio: ['ignore', 1, 2],
    ...(uid === '' ? {} : { uid: Number(uid), gid: Number(gid) }),
  });
  const tell = (message = {}) => {
    if (process.connected) process.send?.(message, () => {});
  };
  // Ends this process too: nothing else keeps it alive.
  const end = () => {
    if (process.connected) process.disconnect();
  };
  postmaster.once('spawn', () => tell({ pid: postmaster.pid }));
  postmaster.once('error', end);
  postmaster.once('exit', end);

  let stopping = false;
  const stop = (patience = FAST) => {
    if (stopping) return;
    stopping = true;
    // Fast shutdown: sessions end, a checkpoint is written; then immediate, which costs a recovery at the next start.
    postmaster.kill('SIGINT');
    setTimeout(() => postmaster.kill('SIGQUIT'), patience).unref();
  };
  process.on('message', () => stop());
  process.once('disconnect', () => stop(ORPHANED));
});
