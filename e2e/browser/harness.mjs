// The world of a browser test: the real server in front of the fake Google, each test with
// a data folder of its own, and a real Chromium that may not complain about anything.
//
// `cargo xtask test --only browser` sets GB_SERVER_BIN, GB_FAKE_GOOGLE_BIN and GB_CHROMIUM.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { PASSWORD, PATIENCE, needed, startServer } from '../programs.mjs';

export * from '../programs.mjs';

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

// Asks again and again until something asynchronous is so. (`page.waitForFunction` takes the
// promise of an asynchronous predicate for its answer.)
export async function comesTrue(isSo) {
  const end = Date.now() + PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`not so within ${PATIENCE / 1000} s: ${isSo}`);
  }
}

// Waits until an element shows this text.
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
