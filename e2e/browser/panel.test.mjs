// What a person does in the panel, from the first start on.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  FAILED_RESPONSE,
  KEYS,
  PASSWORD,
  TOKEN,
  inPanel,
  openBrowser,
  openPage,
  shows,
  signIn,
  startGoogle,
  startServer,
} from './harness.mjs';

let browser;
let google;

before(async () => {
  [browser, google] = await Promise.all([openBrowser(), startGoogle()]);
});

after(async () => {
  await Promise.allSettled([browser?.close(), google?.stop()]);
});

const panel = (t, options, body) => inPanel(t, { browser, google }, options, body);

const CONFIGURED = { AUTH_TOKEN: PASSWORD, ALLOWED_TOKENS: TOKEN };

test('from the first start to an answer', async (t) => {
  // Without a session the panel asks who it is and is told 401; that is no fault.
  await panel(t, { allowed: [FAILED_RESPONSE] }, async ({ page, id }, server) => {
    // Nothing is configured, so the server prints a link, and the link leads to the set-up.
    const link = await server.setupLink();
    await page.goto(link);
    await id('setup-password').fill(PASSWORD);
    await id('setup-password2').fill(PASSWORD);
    await id('setup-submit').click();

    // The dashboard says what is missing.
    await id('warning-no_keys').waitFor();

    // Keys are found in whatever is pasted: quotes, commas, JSON, a .env line, one twice.
    await id('nav-keys').click();
    await id('key-paste').fill(
      `API_KEYS=["${KEYS[0]}",\n"${KEYS[1]}"]\nmine; ${KEYS[2]}\n${KEYS[0]}\nsk-proj-abcdefghijklmnopqrstuvwxyz0123456789`,
    );
    await id('key-add').click();
    await shows(id('import-report'), '3');
    const rows = page.locator('[data-testid^="key-row-"]');
    await rows.nth(2).waitFor();
    assert.equal(await rows.count(), 3);
    assert.equal(await id('key-paste').inputValue(), '', 'the keys stay on the screen');
    const html = await page.content();
    for (const key of KEYS) assert.ok(!html.includes(key), 'a key is in the page in clear');

    await id('nav-dashboard').click();
    await shows(id('pool-ready'), '3');
    await id('warning-no_tokens').waitFor();

    // The connect page makes a token, and one real request goes all the way through.
    await id('nav-connect').click();
    await id('token-name').fill('Cherry Studio');
    await id('token-create').click();
    const secret = await id('token-secret').inputValue();
    assert.match(secret, /^\S{16,}$/);
    await id('test-send').click();
    await shows(id('test-answer'), /demo's fake Google/);

    // What the page showed really lets a client in.
    const answer = await fetch(`${server.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gemini-2.5-flash', messages: [{ role: 'user', content: 'Are you there?' }] }),
    });
    assert.equal(answer.status, 200);
    assert.match((await answer.json()).choices[0].message.content, /Are you there\?/);
  });
});

test('nothing on the page may come from anywhere else', async (t) => {
  const server = await startServer(google, CONFIGURED);
  t.after(() => server.stop());
  const page = await fetch(server.address);
  const policy = page.headers.get('content-security-policy') ?? '';
  const rules = Object.fromEntries(
    policy.split(';').map((rule) => rule.trim().split(/\s+/)).map(([name, ...sources]) => [name, sources]),
  );
  assert.deepEqual(rules['default-src'], ["'none'"], `the policy is: ${policy}`);
  assert.deepEqual(rules['frame-ancestors'], ["'none'"]);
  assert.ok(!rules['script-src'].includes("'unsafe-inline'") && !rules['script-src'].includes("'unsafe-eval'"));
  assert.doesNotMatch(policy, /https?:|\*/, 'the policy names another place');
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
});

test('the set-up link works once', async (t) => {
  await panel(t, { allowed: [FAILED_RESPONSE] }, async ({ page, id }, server) => {
    const link = await server.setupLink();
    await page.goto(link);
    await id('setup-password').fill(PASSWORD);
    await id('setup-password2').fill(PASSWORD);
    await id('setup-submit').click();
    await id('nav-dashboard').waitFor();

    const stranger = await openPage(browser, server.address, { allowed: [FAILED_RESPONSE] });
    t.after(() => stranger.close());
    await stranger.page.goto(link);
    await stranger.id('login-password').waitFor();
    assert.equal(await stranger.id('setup-password').count(), 0);
  });
});

test('a wrong password is refused, the right one lets in, signing out ends it', async (t) => {
  await panel(t, { env: CONFIGURED, allowed: [FAILED_RESPONSE] }, async ({ page, id }, server) => {
    await page.goto(server.address);
    await id('login-password').fill('not the password');
    await id('login-submit').click();
    await id('error').waitFor();
    assert.equal(await id('nav-dashboard').count(), 0);

    await id('login-password').fill(PASSWORD);
    await id('login-submit').click();
    await id('nav-dashboard').waitFor();
    await page.reload();
    await id('nav-dashboard').waitFor();

    await id('sign-out').click();
    await id('login-password').waitFor();
    await page.reload();
    await id('login-password').waitFor();
  });
});

test('a deleted key comes back by undo', async (t) => {
  await panel(t, { env: CONFIGURED, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page, id } = view;
    await signIn(view, server);
    await id('nav-keys').click();
    await id('keys-empty').waitFor();
    await id('key-paste').fill(KEYS.slice(0, 2).join('\n'));
    await id('key-add').click();
    const rows = page.locator('[data-testid^="key-row-"]');
    await rows.nth(1).waitFor();

    const name = await rows.first().getAttribute('data-testid');
    const number = name.replace('key-row-', '');
    await id(`key-delete-${number}`).click();
    await id(name).waitFor({ state: 'detached' });
    assert.equal(await rows.count(), 1);
    await id('undo').click();
    await id(name).waitFor();

    // And it is really back, not just drawn again.
    await page.reload();
    await id(name).waitFor();
    assert.equal(await rows.count(), 2);
  });
});

test('a key that Google refuses says so after a check', async (t) => {
  await panel(t, { env: CONFIGURED, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page, id } = view;
    await signIn(view, server);
    await id('nav-keys').click();
    await id('key-paste').fill(`${KEYS[0]}\nAIzaSyNOBODY-00000000000000000000000000`);
    await id('key-add').click();
    const rows = page.locator('[data-testid^="key-row-"]');
    await rows.nth(1).waitFor();
    await id('key-check-all').click();
    await id('check-summary').waitFor();

    const keys = await page.evaluate(async () => (await fetch('/api/keys')).json());
    const states = keys.map((key) => `${key.state.state} ${key.state.reason ?? ''}`.trim()).sort();
    assert.deepEqual(states, ['ready', 'rejected invalid']);
  });
});

test('another key takes a key\'s place, which keeps its name', async (t) => {
  await panel(t, { env: CONFIGURED, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page, id } = view;
    await signIn(view, server);
    await id('nav-keys').click();
    await id('key-paste').fill(`work: ${KEYS[0]}`);
    await id('key-add').click();
    const row = page.locator('[data-testid^="key-row-"]');
    await row.first().waitFor();
    const number = (await row.first().getAttribute('data-testid')).replace('key-row-', '');
    await id(`key-replace-${number}`).click();
    await id('key-replace-key').fill('no key');
    await id('key-replace-save').click();
    await shows(page.getByRole('dialog'), /no Gemini key/);
    await id('key-replace-key').fill(KEYS[1]);
    await id('key-replace-save').click();
    await id('key-replace-key').waitFor({ state: 'detached' });
    await shows(id(`key-label-${number}`), /work/);
    await shows(id(`key-row-${number}`), new RegExp(`${KEYS[1].slice(-4)}[^]*Ready`));
    assert.equal(await row.count(), 1);
  });
});

test('a key can be switched off and on', async (t) => {
  const env = { ...CONFIGURED, API_KEYS: KEYS[0] };
  await panel(t, { env, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page, id } = view;
    await signIn(view, server);
    await id('nav-keys').click();
    const toggle = page.locator('[data-testid^="key-toggle-"]');
    await toggle.waitFor();
    // The switch itself is drawn over its input.
    await toggle.locator('..').click();
    await page.waitForFunction(() => !document.querySelector('[data-testid^="key-toggle-"]').checked);
    await id('nav-dashboard').click();
    await id('warning-no_key_ready').waitFor();
    await id('nav-keys').click();
    await toggle.locator('..').click();
    await page.waitForFunction(() => document.querySelector('[data-testid^="key-toggle-"]').checked);
  });
});

test('language and colours switch and stay', async (t) => {
  await panel(t, { env: CONFIGURED, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page, id } = view;
    await signIn(view, server);
    const lang = () => page.locator('html').getAttribute('lang');
    const dark = () => page.evaluate(() => document.documentElement.classList.contains('pf-v6-theme-dark'));
    assert.match(await lang(), /^en/);
    assert.equal(await dark(), false);

    await id('lang-switch').click();
    await page.waitForFunction(() => document.documentElement.lang.startsWith('zh'));
    await shows(id('nav-keys'), /[\u4e00-\u9fff]/);
    while ((await id('theme-switch').getAttribute('data-theme')) !== 'dark') await id('theme-switch').click();
    await page.waitForFunction(() => document.documentElement.classList.contains('pf-v6-theme-dark'));

    await page.reload();
    await id('nav-keys').waitFor();
    assert.match(await lang(), /^zh/);
    assert.equal(await dark(), true);
  });
});

test('a Chinese browser in the dark gets Chinese in the dark', async (t) => {
  const options = { env: CONFIGURED, lang: 'zh-CN', colorScheme: 'dark', allowed: [FAILED_RESPONSE] };
  await panel(t, options, async ({ page, id }, server) => {
    await page.goto(server.address);
    await shows(id('login-submit'), /[\u4e00-\u9fff]/);
    await page.waitForFunction(() => document.documentElement.classList.contains('pf-v6-theme-dark'));
  });
});

test('every page works by keyboard on a phone-sized screen without scrolling sideways', async (t) => {
  const options = { env: { ...CONFIGURED, API_KEYS: KEYS.join(',') }, viewport: { width: 375, height: 720 } };
  await panel(t, { ...options, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page, id } = view;
    await page.goto(server.address);
    await id('login-password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await id('nav-toggle').waitFor();
    const places = ['#/', '#/keys', '#/tokens', '#/connect', '#/requests', '#/stats', '#/settings', '#/data', '#/account'];
    for (const place of [...places, '#/settings/transfer', '#/settings/history']) {
      await page.goto(`${server.address}/${place}`);
      await page.locator('main h1').first().waitFor();
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${place} is ${overflow} pixels too wide`);
    }
  });
});
