// The world of a browser test: the real server in front of the fake Google, each test with
// a data folder of its own, and a real Chromium that may not complain about anything.
//
// `cargo xtask test --only browser` sets GB_SERVER_BIN, GB_FAKE_GOOGLE_BIN and GB_CHROMIUM.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

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

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by \`cargo xtask test --only browser\``);
  return value;
}

// Our programs see nothing of the developer's settings.
function cleanEnvironment(extra) {
  const kept = ['PATH', 'HOME', 'LANG', 'SYSTEMROOT', 'TEMP', 'TMP', 'TMPDIR'];
  const own = Object.fromEntries(kept.filter((n) => process.env[n]).map((n) => [n, process.env[n]]));
  return { ...own, ...extra };
}

// Starts a program and keeps its lines. `said` waits for one that `find` makes something of.
async function start(program, args, env) {
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
  const data = await mkdtemp(join(tmpdir(), 'gemini-balance-browser-'));
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

export async function openBrowser() {
  const browser = await chromium.launch({
    executablePath: needed('GB_CHROMIUM'),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return browser;
}

// What a browser says when an answer is an error. The tests that provoke one allow it.
export const FAILED_RESPONSE = /Failed to load resource: the server responded with a status of (400|401|403|404|409|422|429|502|503)/;

// A page that collects every complaint: errors and warnings of the console (violations of
// the content security policy are among them), exceptions, requests to anywhere else.
export async function openPage(browser, address, options = {}) {
  const { lang = 'en-US', colorScheme = 'light', allowed = [], ...context } = options;
  const session = await browser.newContext({
    locale: lang,
    colorScheme,
    timezoneId: 'Asia/Shanghai',
    viewport: { width: 1280, height: 800 },
    ...context,
  });
  session.setDefaultTimeout(PATIENCE);
  const page = await session.newPage();
  const complaints = [];
  const complain = (text) => {
    if (!allowed.some((pattern) => pattern.test(text))) complaints.push(text);
  };
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complain(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complain(`exception: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(address) && !url.startsWith('data:') && !url.startsWith('blob:')) {
      complain(`request to another place: ${url}`);
    }
  });
  const id = (name) => page.getByTestId(name);
  return { page, id, complaints, close: () => session.close() };
}

// Signs in with the password of the environment.
export async function signIn({ page, id }, server, password = PASSWORD) {
  await page.goto(server.address);
  await id('login-password').fill(password);
  await id('login-submit').click();
  await id('nav-dashboard').waitFor();
}

// Runs `body` with a server and a page of its own, and fails when the browser complained.
export async function inPanel(t, { browser, google }, { env, ...options }, body) {
  const server = await startServer(google, env);
  t.after(() => server.stop());
  const view = await openPage(browser, server.address, options);
  t.after(() => view.close());
  await body(view, server);
  assert.deepEqual(view.complaints, [], 'the browser complained');
}

// Waits until an element shows this text.
// Asks again and again until something asynchronous is so. (`page.waitForFunction` takes the
// promise of an asynchronous predicate for its answer.)
export async function comesTrue(isSo) {
  const end = Date.now() + PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`not so within ${PATIENCE / 1000} s: ${isSo}`);
  }
}

export const shows = (locator, text) => locator.filter({ hasText: text }).first().waitFor();

// Calls the admin API as the signed-in page does; answers status and JSON.
export function admin(page, method, path, body) {
  return page.evaluate(
    async ([method, path, body]) => {
      const { csrf } = await (await fetch('/api/state')).json();
      const headers = { 'content-type': 'application/json', 'x-csrf-token': csrf };
      const answer = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
      const text = await answer.text();
      return { status: answer.status, json: text ? JSON.parse(text) : null };
    },
    [method, path, body],
  );
}
