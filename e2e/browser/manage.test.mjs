// What a person does on the pages Settings, Data and Account.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import {
  FAILED_RESPONSE,
  KEYS,
  PASSWORD,
  TOKEN,
  admin,
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

const CONFIGURED = { AUTH_TOKEN: PASSWORD, ALLOWED_TOKENS: TOKEN };

// A signed-in page of a server of its own.
const signedIn = (t, options, body) =>
  inPanel(t, { browser, google }, { env: CONFIGURED, allowed: [FAILED_RESPONSE], ...options }, async (view, server) => {
    await signIn(view, server);
    await body(view, server);
  });

const valueOf = async (page, name) => {
  const { json } = await admin(page, 'GET', '/api/settings');
  return json.settings.find((setting) => setting.name === name);
};

test('a setting is found, changed after a look at the difference, and changed back', async (t) => {
  await signedIn(t, {}, async ({ page, id }) => {
    await id('nav-settings').click();
    // A Chinese word finds it in the English panel.
    await id('settings-search').fill('尝试');
    await shows(id('setting-from-MAX_RETRIES'), 'Default');
    assert.equal(await id('setting-row-LOG_LEVEL').count(), 0, 'the search filters nothing');
    const before = await id('setting-MAX_RETRIES').inputValue();
    await id('setting-MAX_RETRIES').fill('7');
    await shows(id('settings-bar'), '1 change');
    await id('settings-save').click();
    await shows(id('diff-MAX_RETRIES'), before);
    await shows(id('diff-MAX_RETRIES'), '7');
    assert.equal((await valueOf(page, 'MAX_RETRIES')).value, before, 'it was saved before it was confirmed');
    await id('review-save').click();
    await id('settings-bar').waitFor({ state: 'detached' });
    await shows(id('setting-from-MAX_RETRIES'), 'Saved in the panel');

    // It is really saved, and the history tells of it.
    await page.reload();
    await id('setting-row-MAX_RETRIES').waitFor();
    assert.equal(await id('setting-MAX_RETRIES').inputValue(), '7');
    await id('tab-history').click();
    await page.locator('[data-testid^="audit-changes-"]').first().click();
    await shows(id('diff-MAX_RETRIES'), '7');
    await page.locator('[data-testid^="audit-undo-"]').first().click();
    await id('undo-confirm').click();
    await id('undo-dialog').waitFor({ state: 'detached' });
    await id('tab-values').click();
    await shows(id('setting-from-MAX_RETRIES'), 'Default');
    assert.equal(await id('setting-MAX_RETRIES').inputValue(), before);
  });
});

test('a value that is refused is told at its field, and nothing is saved', async (t) => {
  await signedIn(t, {}, async ({ page, id }) => {
    await id('nav-settings').click();
    await id('setting-MAX_RETRIES').fill('7');
    await id('setting-BASE_URL').fill('no address');
    await id('settings-save').click();
    await id('setting-BASE_URL-beneath').waitFor();
    await shows(id('settings-bar'), '1 value is not accepted');
    assert.equal(await id('review').count(), 0);
    assert.notEqual((await valueOf(page, 'MAX_RETRIES')).value, '7', 'half of it was saved');

    // Mended, the rest goes through.
    await id('setting-keep-BASE_URL').click();
    await id('settings-save').click();
    await id('review-save').click();
    await id('settings-bar').waitFor({ state: 'detached' });
    assert.equal((await valueOf(page, 'MAX_RETRIES')).value, '7');
  });
});

test('somebody else who was quicker is not overwritten unseen', async (t) => {
  const allowed = [FAILED_RESPONSE, /Failed to load resource: the server responded with a status of 409/];
  await signedIn(t, { allowed }, async ({ page, id }) => {
    await id('nav-settings').click();
    await id('setting-MAX_RETRIES').fill('7');
    const { json } = await admin(page, 'GET', '/api/settings');
    const theirs = { values: { MAX_RETRIES: '9' }, revision: json.revision };
    assert.equal((await admin(page, 'PATCH', '/api/settings', theirs)).status, 200);

    await id('settings-save').click();
    await id('settings-overtaken').waitFor();
    assert.equal(await id('setting-MAX_RETRIES').inputValue(), '7', 'what was typed is gone');
    await id('settings-save').click();
    await shows(id('diff-MAX_RETRIES'), '9');
    await id('review-save').click();
    await id('settings-bar').waitFor({ state: 'detached' });
    assert.equal((await valueOf(page, 'MAX_RETRIES')).value, '7');
  });
});

test('a configuration moves, secrets included, from one instance to another', async (t) => {
  await signedIn(t, {}, async ({ page, id }) => {
    await admin(page, 'POST', '/api/keys/import', { text: KEYS[2] });
    const { json } = await admin(page, 'GET', '/api/settings');
    await admin(page, 'PATCH', '/api/settings', { values: { MAX_RETRIES: '8' }, revision: json.revision });
    await id('nav-settings').click();
    await id('tab-transfer').click();
    await page.waitForFunction(() => /MAX_RETRIES=.*8/.test(document.getElementById('env-text')?.value ?? ''));
    assert.ok(!(await id('env-text').inputValue()).includes(TOKEN), 'a secret is in the .env file');

    await id('export-passphrase').fill('a long passphrase');
    await id('export-passphrase2').fill('a long passphrase');
    const [download] = await Promise.all([page.waitForEvent('download'), id('export-submit').click()]);
    assert.match(download.suggestedFilename(), /\.age$/);
    const file = await download.path();
    assert.ok(!(await readFile(file, 'utf8')).includes(KEYS[2]), 'the file is not encrypted');

    const other = await startServer(google, CONFIGURED);
    t.after(() => other.stop());
    const there = await openPage(browser, other.address, { allowed: [FAILED_RESPONSE] });
    t.after(() => there.close());
    await signIn(there, other);
    await there.page.goto(`${other.address}/#/settings/transfer`);
    await there.id('import-file').setInputFiles(file);
    await there.id('import-passphrase').fill('a wrong passphrase');
    await there.id('import-preview').click();
    await shows(there.id('import-passphrase-beneath'), /./);
    await there.id('import-passphrase').fill('a long passphrase');
    await there.id('import-preview').click();
    await shows(there.id('diff-MAX_RETRIES'), '8');
    const keys = async () => (await admin(there.page, 'GET', '/api/keys')).json;
    assert.equal((await keys()).length, 0, 'the preview already imports');
    await there.id('import-confirm').click();
    await there.id('undo').waitFor();
    assert.equal((await keys()).length, 1);
    assert.equal((await valueOf(there.page, 'MAX_RETRIES')).value, '8');

    await there.id('undo').click();
    await shows(there.id('toast'), 'taken back');
    assert.notEqual((await valueOf(there.page, 'MAX_RETRIES')).value, '8');
    assert.deepEqual(there.complaints, []);
  });
});

test('a backup is made, gone back to, and deleted; Escape changes nothing', async (t) => {
  await signedIn(t, {}, async ({ page, id }) => {
    await id('nav-data').click();
    await page.locator('[data-testid="database-state"][data-state="ready"]').waitFor();
    await id('backup-make').click();
    const restore = page.locator('[data-testid^="backup-restore-"]').last();
    await restore.click();
    await id('backup-dialog').waitFor();
    await page.keyboard.press('Escape');
    await id('backup-dialog').waitFor({ state: 'detached' });
    assert.ok(await restore.evaluate((button) => button === document.activeElement), 'the focus is lost');

    // A key that was added after the backup is gone after going back.
    await admin(page, 'POST', '/api/keys/import', { text: KEYS[3] });
    await restore.click();
    await id('backup-confirm').click();
    await id('backup-dialog').waitFor({ state: 'detached' });
    assert.equal((await admin(page, 'GET', '/api/keys')).json.length, 0);

    // What there was before is a backup, too.
    const rows = page.locator('tr[data-testid^="backup-"]');
    await rows.nth(1).waitFor();
    await page.locator('[data-testid^="backup-delete-"]').last().click();
    await id('backup-confirm').click();
    await rows.nth(1).waitFor({ state: 'detached' });
  });
});

// The six digits of RFC 6238 for a secret in base32.
function totp(secret, at = Date.now()) {
  const bits = [...secret.replace(/[\s=]/g, '')].map((c) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'),
  );
  const bytes = bits.join('').match(/.{8}/g).map((byte) => Number.parseInt(byte, 2));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const hash = createHmac('sha1', Buffer.from(bytes)).update(counter).digest();
  const number = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

test('a second factor guards the login, and a recovery code opens it once', async (t) => {
  await signedIn(t, {}, async (view, server) => {
    const { page, id } = view;
    await id('nav-account').click();
    await id('totp-on').click();
    await id('totp-password').fill(PASSWORD);
    await id('totp-go-on').click();
    await id('totp-qr').waitFor();
    assert.ok(await id('totp-qr').evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
    await id('totp-code').fill(totp(await id('totp-secret').inputValue()));
    await id('totp-confirm').click();
    await id('totp-codes').waitFor();
    const codes = await id('totp-codes').locator('li').allTextContents();
    assert.ok(codes.length >= 8, `only ${codes.length} recovery codes`);
    await id('totp-kept').click();
    await shows(id('totp-state'), 'On');
    assert.ok(!(await page.content()).includes(codes[0]), 'the codes stay in the page');

    await id('sign-out').click();
    const attempt = async (code) => {
      await page.goto(server.address);
      await id('login-password').fill(PASSWORD);
      await id('login-submit').click();
      await id('login-code').fill(code);
      await id('login-submit').click();
    };
    await id('login-password').waitFor();
    await attempt('000000');
    await shows(id('login-code-beneath'), 'not right');
    await attempt(codes[0]);
    await id('nav-account').click();
    await shows(id('totp-card'), `${codes.length - 1} recovery codes`);

    await id('totp-off').click();
    await id('totp-password').fill(PASSWORD);
    await id('totp-go-on').click();
    await shows(id('totp-state'), 'Off');
  });
});

test('a new password ends the other sessions, and all can be ended at once', async (t) => {
  const CHOSEN = 'another good password';
  await signedIn(t, {}, async (view, server) => {
    const { page, id } = view;
    const other = await openPage(browser, server.address, { allowed: [FAILED_RESPONSE] });
    t.after(() => other.close());
    await signIn(other, server);
    await id('nav-account').click();
    const sessions = page.locator('[data-testid^="session-"]:is(li)');
    await sessions.nth(1).waitFor();

    await id('password-current').fill('not the password');
    await id('password-new').fill(CHOSEN);
    await id('password-again').fill(CHOSEN);
    await id('password-submit').click();
    await shows(id('password-current-beneath'), 'not right');
    await id('password-current').fill(PASSWORD);
    await id('password-submit').click();
    await sessions.nth(1).waitFor({ state: 'detached' });
    await other.page.reload();
    await other.id('login-password').waitFor();

    // The session that changed it goes on and can change more.
    await id('everywhere').click();
    await id('everywhere-confirm').click();
    await id('login-password').waitFor();
    await signIn(view, server, CHOSEN);
  });
});

test('a change goes on in a tab whose session was replaced in another', async (t) => {
  await signedIn(t, {}, async ({ page, id }, server) => {
    await id('nav-keys').click();
    await id('keys-empty').waitFor();
    // Another tab signs in anew: the cookie is new, this page's token is not.
    const second = await page.context().newPage();
    await second.goto(server.address);
    const status = await second.evaluate(async (password) => {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ password });
      return (await fetch('/api/login', { method: 'POST', headers, body })).status;
    }, PASSWORD);
    assert.equal(status, 204);
    await id('key-paste').fill(KEYS[0]);
    await id('key-add').click();
    await page.locator('[data-testid^="key-row-"]').first().waitFor();
  });
});
