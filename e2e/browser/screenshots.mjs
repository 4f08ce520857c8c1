// Takes the pictures of the READMEs: every page in both languages and themes, against a
// server that has seen some traffic. `cargo xtask screenshots` runs this.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KEYS, PASSWORD, TOKEN, openBrowser, openPage, signIn, startGoogle, startServer } from './harness.mjs';

const folder = process.argv[2];
if (!folder) throw new Error('usage: node screenshots.mjs FOLDER');

const LANGUAGES = { zh: 'zh-CN', en: 'en-US' };
const THEMES = ['light', 'dark'];

// A picture for each: its name, where it is, and what must be there before it is taken.
const PAGES = [
  { name: 'dashboard', path: '#/', ready: 'pool-ready' },
  { name: 'keys', path: '#/keys', ready: 'keys-card' },
  { name: 'connect', path: '#/connect', ready: 'test-send', act: sendTest },
];

async function sendTest({ id }) {
  await id('test-send').click();
  await id('test-answer').waitFor();
}

// Traffic, so that there is something to see: answers, streams, errors, a key at its limit.
async function live(address) {
  const ask = (model, content, stream = false) =>
    fetch(`${address}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, stream, messages: [{ role: 'user', content }] }),
    }).then((answer) => answer.text());
  for (let i = 0; i < 24; i++) await ask('gemini-2.5-flash', `Question ${i + 1}: what is a reverse proxy?`, i % 3 === 0);
  await ask('gemini-0', 'A model that does not exist');
}

const browser = await openBrowser();
const google = await startGoogle(['--rpm', '12']);
const server = await startServer(google, {
  AUTH_TOKEN: PASSWORD,
  ALLOWED_TOKENS: TOKEN,
  TZ: 'Asia/Shanghai',
});
const empty = await startServer(google);
try {
  await mkdir(folder, { recursive: true });
  const helper = await openPage(browser, server.address);
  await signIn(helper, server);
  await helper.page.evaluate(async (text) => {
    const post = (path, body) =>
      fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    await post('/api/keys/import', { text });
    const keys = await (await fetch('/api/keys')).json();
    const labels = ['personal', 'personal, second', 'work', 'old laptop', 'from a friend'];
    for (const [i, key] of keys.entries()) {
      const body = JSON.stringify({ label: labels[i % labels.length], ...(i === 3 ? { enabled: false } : {}) });
      await fetch(`/api/keys/${key.id}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body });
    }
  }, [...KEYS, 'AIzaSyEXPIRED-0000000000000000000000000'].join('\n'));
  await live(server.address);
  await helper.close();

  for (const [code, locale] of Object.entries(LANGUAGES)) {
    for (const colorScheme of THEMES) {
      const look = { lang: locale, colorScheme, reducedMotion: 'reduce' };
      const shot = (view, name) =>
        view.page.screenshot({ path: join(folder, `${name}-${code}-${colorScheme}.png`), animations: 'disabled', caret: 'hide' });

      const fresh = await openPage(browser, empty.address, look);
      await fresh.page.goto(await empty.setupLink());
      await fresh.id('setup-submit').waitFor();
      await shot(fresh, 'setup');
      await fresh.close();

      const view = await openPage(browser, server.address, look);
      await view.page.goto(server.address);
      await view.id('login-submit').waitFor();
      await shot(view, 'login');
      await signIn(view, server);
      for (const { name, path, ready, act } of PAGES) {
        await view.page.goto(`${server.address}/${path}`);
        await view.id(ready).waitFor();
        if (act) await act(view);
        await view.page.evaluate(() => document.fonts.ready);
        await shot(view, name);
      }
      await view.close();
    }
  }
} finally {
  await Promise.allSettled([browser.close(), server.stop(), empty.stop()]);
  await google.stop();
}
console.log(`The pictures are in ${folder}.`);
