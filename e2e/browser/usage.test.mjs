// What a person does on the pages Tokens, Requests and Statistics.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  FAILED_RESPONSE,
  KEYS,
  PASSWORD,
  PATIENCE,
  TOKEN,
  admin,
  inPanel,
  openBrowser,
  openPage,
  shows,
  signIn,
  startGoogle,
} from './harness.mjs';

let browser;
let google;

before(async () => {
  [browser, google] = await Promise.all([openBrowser(), startGoogle()]);
});

after(async () => {
  await Promise.allSettled([browser?.close(), google?.stop()]);
});

const CONFIGURED = { AUTH_TOKEN: PASSWORD, ALLOWED_TOKENS: TOKEN, API_KEYS: KEYS.join(',') };

// A signed-in page of a server of its own.
const signedIn = (t, options, body) =>
  inPanel(t, { browser, google }, { env: CONFIGURED, allowed: [FAILED_RESPONSE], ...options }, async (view, server) => {
    await signIn(view, server);
    await body(view, server);
  });

// A request as a client program sends it.
async function ask(server, { model = 'gemini-2.5-flash', token = TOKEN } = {}) {
  const answer = await fetch(`${server.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
  });
  await answer.text();
  return { status: answer.status, id: answer.headers.get('x-request-id') };
}

// Waits until so many requests are on record: they are written a moment after the answer.
async function recorded(page, count) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const { json } = await admin(page, 'GET', '/api/requests?limit=200');
    if (json.requests.length >= count) return json.requests;
    assert.ok(Date.now() < end, `only ${json.requests.length} of ${count} requests were recorded`);
  }
}

const rows = (page) => page.locator('[data-testid^="request-row-"]');
const within = (page, pattern) => page.waitForFunction((source) => new RegExp(source).test(location.hash), pattern.source);

test('a token is made with limits, shown once, changed, and revoked', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    await id('nav-tokens').click();
    await id('token-name').fill('laptop');
    await id('token-rules').click();
    await id('token-rpm').fill('many');
    await id('token-rpm-beneath').waitFor();
    assert.ok(await id('token-create').isDisabled(), 'what is no number can be sent');
    await id('token-rpm').fill('1,000');
    await id('token-models').fill('gemini-2.5-*');
    await id('token-create').click();
    const secret = await id('token-secret').inputValue();
    assert.equal((await ask(server, { token: secret })).status, 200);
    const { json } = await admin(page, 'GET', '/api/tokens');
    const { id: number, rpm, models } = json.find((token) => token.name === 'laptop');
    assert.deepEqual([rpm, models], [1000, ['gemini-2.5-*']]);
    const row = id(`token-row-${number}`);
    await shows(row, '1,000 requests a minute');
    await shows(row, 'only gemini-2.5-*');

    // It is shown once: not after a reload, and nowhere in the page.
    await page.reload();
    await row.waitFor();
    assert.ok(!(await page.content()).includes(secret), 'the token is still in the page');

    await id(`token-edit-${number}`).click();
    assert.equal(await id('edit-rpm').inputValue(), '1000');
    await id('edit-name').fill('old laptop');
    await id('edit-rpm').fill('');
    await id('edit-models').fill('gemini-3-*');
    await id('edit-save').click();
    await id('token-dialog').waitFor({ state: 'detached' });
    await shows(row, 'old laptop');
    await shows(row, 'only gemini-3-*');
    assert.equal(await row.filter({ hasText: 'requests a minute' }).count(), 0);
    assert.notEqual((await ask(server, { token: secret })).status, 200, 'the model is still allowed');

    await id(`token-revoke-${number}`).click();
    await id(`token-revoke-no-${number}`).click();
    await id('revoke-dialog').waitFor({ state: 'detached' });
    await id(`token-revoke-${number}`).click();
    await id(`token-revoke-yes-${number}`).click();
    await row.waitFor({ state: 'detached' });
    assert.equal((await ask(server, { token: secret })).status, 401);
  });
});

test('a token of the environment gets limits here and cannot be revoked', async (t) => {
  await signedIn(t, {}, async ({ page, id }) => {
    await id('nav-tokens').click();
    await shows(id('tokens-card'), 'from ALLOWED_TOKENS');
    assert.equal(await page.locator('[data-testid^="token-revoke-"]').count(), 0);
    await page.locator('[data-testid^="token-edit-"]').click();
    assert.equal(await id('edit-name').count(), 0, 'its name is the variable it is from');
    await id('edit-rpm').fill('7');
    await id('edit-save').click();
    await shows(id('tokens-card'), '7 requests a minute');
  });
});

test('the log shows what was asked; a link shows the same requests again', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    for (let i = 0; i < 3; i++) assert.equal((await ask(server)).status, 200);
    const failed = await ask(server, { model: 'gemini-0' });
    assert.notEqual(failed.status, 200);
    await recorded(page, 4);

    await id('nav-requests').click();
    await rows(page).nth(3).waitFor();
    assert.equal(await rows(page).count(), 4);
    await id('requests-errors').click();
    await within(page, /result=failed/);
    await rows(page).nth(1).waitFor({ state: 'detached' });
    await shows(rows(page).first(), 'gemini-0');
    await shows(rows(page).first(), String(failed.status));

    // Everything about it, found by the id that the client got.
    await page.locator('[data-testid^="request-open-"]').click();
    await shows(id('request-id'), failed.id);
    await page.locator('[data-testid^="request-open-"]').click();
    await id('request-detail').waitFor({ state: 'detached' });
    await id('requests-all').click();
    await rows(page).nth(3).waitFor();
    await id('filter-search').fill(failed.id);
    await id('filter-search').press('Enter');
    await rows(page).nth(1).waitFor({ state: 'detached' });
    await shows(rows(page).first(), 'gemini-0');

    // Filters are in the address: back takes the last one away, a new page shows the same.
    await page.goBack();
    await rows(page).nth(3).waitFor();
    await id('filter-status').selectOption('200');
    await within(page, /status=200/);
    await rows(page).nth(3).waitFor({ state: 'detached' });
    const other = await openPage(browser, server.address, { allowed: [FAILED_RESPONSE] });
    t.after(() => other.close());
    await signIn(other, server);
    await other.page.goto(page.url());
    await rows(other.page).nth(2).waitFor();
    assert.equal(await rows(other.page).count(), 3);
    assert.equal(await other.id('filter-status').inputValue(), '200');
    await other.id('filter-clear').click();
    await rows(other.page).nth(3).waitFor();
  });
});

test('new requests appear by themselves, older ones are a page away', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    await id('nav-requests').click();
    await id('requests-empty').waitFor();
    await ask(server);
    await rows(page).first().waitFor();

    for (let sent = 1; sent < 55; sent += 6) await Promise.all(Array.from({ length: 6 }, () => ask(server)));
    await recorded(page, 55);
    await id('requests-older').click();
    await within(page, /after=/);
    await id('requests-newest').waitFor();
    await rows(page).nth(5).waitFor({ state: 'detached' });
    assert.equal(await rows(page).count(), 5);
    await page.goBack();
    await rows(page).nth(49).waitFor();
  });
});

test('records are deleted after a question, and the sums stay', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    await ask(server);
    await ask(server, { model: 'gemini-0' });
    await recorded(page, 2);
    await id('nav-requests').click();
    await rows(page).nth(1).waitFor();
    await id('requests-delete').click();
    assert.ok(await id('delete-confirm').isDisabled(), 'nothing was chosen yet');
    await id('delete-which').selectOption('failed');
    await id('delete-ages').selectOption('all');
    await id('delete-confirm').click();
    await shows(id('toast'), '1 record deleted');
    await rows(page).nth(1).waitFor({ state: 'detached' });
    await shows(rows(page).first(), '200');
    const { json } = await admin(page, 'GET', '/api/stats?range=day');
    assert.deepEqual([json.total.requests, json.total.errors], [2, 1]);
  });
});

test('statistics narrow their curve to a row, and lead to its requests', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    for (let i = 0; i < 2; i++) await ask(server);
    await ask(server, { model: 'gemini-2.5-pro' });
    await recorded(page, 3);
    await id('nav-stats').click();
    await shows(id('total-requests'), /^3$/);
    await id('stats-range-week').click();
    await within(page, /range=week/);
    await id('stats-by-model').getByRole('button', { name: 'gemini-2.5-pro' }).click();
    await within(page, /model=gemini-2\.5-pro/);
    await shows(id('total-requests'), /^1$/);
    await shows(id('stats-only'), 'gemini-2.5-pro');
    await page.reload();
    await shows(id('total-requests'), /^1$/);
    await id('stats-measure-tokens').click();

    await id('stats-requests').click();
    await within(page, /^#\/requests\?.*model=gemini-2\.5-pro/);
    await rows(page).first().waitFor();
    assert.equal(await rows(page).count(), 1);
    await page.goBack();
    await id('stats-everything').click();
    await shows(id('total-requests'), /^3$/);
  });
});

test('the dashboard leads from an error to its record', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    await ask(server, { model: 'gemini-0' });
    await recorded(page, 1);
    await id('nav-dashboard').click();
    await id('errors-card').getByTitle('Show it in the request log').click();
    await within(page, /result=failed/);
    await shows(rows(page).first(), 'gemini-0');
    assert.equal(await rows(page).count(), 1);
  });
});

// A model's name comes from a client, a label from whoever adds keys, an error's text from
// Google, which repeats what it was sent.
test('names and error texts from outside are never markup', async (t) => {
  const evil = '<img src=x onerror="window.hacked=1">';
  await signedIn(t, {}, async ({ page, id }, server) => {
    const { json: keys } = await admin(page, 'GET', '/api/keys');
    await admin(page, 'PATCH', `/api/keys/${keys[0].id}`, { label: evil });
    const made = await admin(page, 'POST', '/api/tokens', { name: evil });
    assert.ok(made.status < 300, `the token was refused with ${made.status}`);
    for (let i = 0; i < 4; i++) await ask(server, { token: made.json.secret });
    await ask(server, { token: made.json.secret, model: evil });
    await recorded(page, 5);

    for (const place of ['#/tokens', '#/requests', '#/requests?result=failed', '#/stats', '#/connect', '#/keys', '#/']) {
      await page.goto(`${server.address}/${place}`);
      // The dashboard shows no name from outside: such a model's is not even recorded.
      await (place === '#/' ? id('pool-ready').waitFor() : shows(page.locator('main'), evil));
      const open = page.locator('[data-testid^="request-open-"]');
      if (await open.count()) {
        await open.first().click();
        await id('request-detail').waitFor();
      }
      assert.equal(await page.locator('img[src="x"]').count(), 0, `markup from outside at ${place}`);
      assert.equal(await page.evaluate(() => window.hacked), undefined);
    }
  });
});
