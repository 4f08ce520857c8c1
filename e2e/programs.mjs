// Our programs as the tests start them: the real server in front of the fake Google, each
// with a data folder of its own.
//
// `cargo xtask test` sets GB_SERVER_BIN and GB_FAKE_GOOGLE_BIN.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

// How long anything may take. Generous, because a laptop may be compiling beside the test.
export const PATIENCE = 30_000;

export const PASSWORD = 'correct horse battery';
export const TOKEN = 'sk-browser-test-token-0001';

// Keys that the fake takes, in both of Google's shapes. Numbers 1 and 2 share a project.
export const KEYS = [
  'AIzaSyTEST-0000000000000000000000000001',
  'AIzaSyTEST-0000000000000000000000000002',
  'AQ.Ab8TEST-000000000000000000000000000000000000000000003',
  'AQ.Ab8TEST-000000000000000000000000000000000000000000004',
];
const PROJECTS = ['a', 'a', 'b', 'c'];

export function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by \`cargo xtask test\``);
  return value;
}

// Our programs see nothing of the developer's settings.
export function cleanEnvironment(extra) {
  const kept = ['PATH', 'HOME', 'LANG', 'SYSTEMROOT', 'TEMP', 'TMP', 'TMPDIR'];
  const own = Object.fromEntries(kept.filter((n) => process.env[n]).map((n) => [n, process.env[n]]));
  return { ...own, ...extra };
}

// Starts a program and keeps its lines. `said` waits for one that `find` makes something of.
export async function start(program, args, env) {
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  // One that has ended says so below.
  child.stdin.on('error', () => {});
  const lines = [];
  const waiting = new Set();
  const look = () => waiting.forEach((one) => one());
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      look();
    });
  }
  let end;
  const ended = new Promise((resolve) => {
    const finish = (why) => {
      end ??= why;
      look();
      resolve();
    };
    child.once('error', (error) => finish(`could not be started: ${error.message}`));
    child.once('close', (code) => finish(`ended with ${code}`));
  });
  return {
    said(find) {
      return new Promise((resolve, reject) => {
        const settle = (how, value) => {
          clearTimeout(timer);
          waiting.delete(one);
          how(value);
        };
        const fail = (why) => settle(reject, new Error(`${program} ${why}:\n${lines.join('\n')}`));
        const one = () => {
          const made = lines.map(find).find(Boolean);
          if (made) settle(resolve, made);
          else if (end) fail(end);
        };
        const timer = setTimeout(() => fail(`did not say it within ${PATIENCE} ms`), PATIENCE);
        waiting.add(one);
        one();
      });
    },
    tell: (line) => child.stdin.write(`${line}\n`),
    async stop() {
      child.kill();
      await ended;
    },
  };
}

const addressIn = (line) => line.match(/http:\/\/[\w.[\]-]+:\d+/)?.[0];

// The fake Google. `keys` are those it takes, each with its project (KEY@PROJECT); `args`
// are those of `fake-google`, e.g. ['--rpm', '2'].
export async function startGoogle({ keys = KEYS.map((key, i) => `${key}@${PROJECTS[i]}`), args = [] } = {}) {
  const all = ['--keys', keys.join(','), ...args];
  const google = await start(needed('GB_FAKE_GOOGLE_BIN'), all, cleanEnvironment());
  return { address: await google.said(addressIn), stop: google.stop };
}

// The fake clouds and their registry: a map of what they say, e.g. `render` (the address of
// its API), `render-key`, `image`. Services that go live there run the real server, which
// asks the fake Google.
export async function startClouds(google, args = ['--step', '50']) {
  const env = cleanEnvironment({ GB_SERVER_BIN: needed('GB_SERVER_BIN') });
  const all = ['--default', `BASE_URL=${google.address}/v1beta`, ...args];
  const clouds = await start(needed('GB_FAKE_CLOUDS_BIN'), all, env);
  const said = {};
  await clouds.said((line) => {
    const [name, value] = line.split(' ');
    said[name] = value;
    return line === 'ready';
  });
  let moved = 0;
  return {
    ...said,
    stop: clouds.stop,
    // Moves the clouds' clock forward; each time by another number of seconds.
    async advance(seconds) {
      moved += 1;
      clouds.tell(`advance ${seconds + moved}`);
      await clouds.said((line) => line === `advanced ${seconds + moved}`);
    },
  };
}

// The real server on a free port, with a new data folder that goes when it stops.
// `env` is what a user would configure; nothing by default.
export async function startServer(google, env = {}) {
  const data = await mkdtemp(join(tmpdir(), 'gemini-balance-e2e-'));
  const settings = { HOST: '127.0.0.1', PORT: '0', DATA_DIR: data, BASE_URL: `${google.address}/v1beta`, ...env };
  const server = await start(needed('GB_SERVER_BIN'), ['serve'], cleanEnvironment(settings));
  return {
    address: await server.said((line) => line.match(/^listening on (http:\S+)/)?.[1]),
    // The one-time link that the server prints when nothing is configured.
    setupLink: () => server.said((line) => line.match(/http:\/\/\S*setup\S*/)?.[0]),
    async stop() {
      await server.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}
