// Takes pictures in both languages and themes, against a server that has seen some traffic
// and has put an instance on a fake Render: those that the documentation keeps or, with
// `--all`, every page. `cargo xtask screenshots` runs this.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  PASSWORD,
  TOKEN,
  admin as adminCall,
  openBrowser,
  openPage,
  signIn,
  startClouds,
  startGoogle,
  startServer,
} from './harness.mjs';

const [folder, all] = process.argv.slice(2);
if (!folder || (all && all !== '--all')) throw new Error('usage: node screenshots.mjs FOLDER [--all]');

const LANGUAGES = {
  zh: { locale: 'zh-CN', labels: ['我的账号', '我的账号（二）', '工作', '旧电脑', '朋友给的'] },
  en: { locale: 'en-US', labels: ['personal', 'personal, second', 'work', 'old laptop', 'from a friend'] },
};
const THEMES = ['light', 'dark'];

// Wide enough for every column, and no higher than a reader scrolls.
const SIZE = { width: 1280, height: 1000 };

// Five keys in four projects: the first two share a quota, the last is not Google's.
const POOL = [1, 2, 3, 4, 5].map((n) => `AQ.Ab8RN6${n}-picture-000000000000000000000000000000000000x${n}F`);
const GOOGLES = [`${POOL[0]}@a`, `${POOL[1]}@a`, `${POOL[2]}@b`, `${POOL[3]}@c`];
const SWITCHED_OFF = 3;

// A picture for each: its name, where it is, what must be there before it is taken.
const PAGES = [
  { name: 'dashboard', path: '#/', ready: 'pool-ready' },
  { name: 'keys', path: '#/keys', ready: 'keys-card' },
  { name: 'connect', path: '#/connect', ready: 'endpoints-card' },
  { name: 'deploy', path: '#/deploy', ready: 'choose-render' },
  { name: 'instances', path: '#/instances', ready: 'remote-panel-1' },
];
const MORE_PAGES = [
  { name: 'tokens', path: '#/tokens', ready: 'tokens-card' },
  { name: 'requests', path: '#/requests', ready: 'requests-card' },
  { name: 'stats', path: '#/stats', ready: 'stats-card' },
  { name: 'settings', path: '#/settings', ready: 'settings-search' },
  { name: 'transfer', path: '#/settings/transfer', ready: 'export-card' },
  { name: 'history', path: '#/settings/history', ready: 'history-card' },
  { name: 'doctor', path: '#/doctor', ready: 'doctor-findings' },
  { name: 'data', path: '#/data', ready: 'database-card' },
  { name: 'account', path: '#/account', ready: 'totp-card' },
  { name: 'deploy-account', path: '#/deploy?step=account&door=render', ready: 'account-card' },
  { name: 'deploy-account-by-hand', path: '#/deploy?step=account&door=claw_cloud', ready: 'account-card' },
  { name: 'deploy-data', path: '#/deploy?step=data&door=docker', ready: 'data-none' },
  ...['overview', 'variables', 'log', 'events', 'usage', 'deploys', 'app'].map((part) => ({
    name: `instance-${part}`, path: `#/instances/1/${part}`, ready: `tab-${part}`,
  })),
  { name: 'instance-panel', path: '#/instances/1/panel/keys', ready: 'keys-card' },
];

// The address that users know; any other where something runs on it.
async function startOnUsualPort(google, env) {
  try {
    return await startServer(google, { ...env, PORT: '8000' });
  } catch {
    return startServer(google, env);
  }
}

const admin = async (...call) => (await adminCall(...call)).json;

// Traffic, so that there is something to see: answers, streams, an error, a quota met.
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

// An instance on the fake Render, as the wizard makes one.
async function putOnline(page, clouds) {
  const account = await admin(page, 'POST', '/api/deploy/accounts', {
    provider: 'render', secret: clouds['render-key'], api: clouds.render,
  });
  const [key] = await admin(page, 'GET', '/api/keys');
  const remote = await admin(page, 'POST', '/api/deploy/remotes', {
    name: 'my-balance', account: account.id, workspace: account.facts.workspaces[0].id,
    region: 'singapore', plan: 'free', image: clouds.image, database: { kind: 'none' },
    keys: [key.id], time_zone: 'Asia/Shanghai',
  });
  const at = `/api/deploy/remotes/${remote.id}`;
  await admin(page, 'POST', `${at}/apply`, {});
  let run;
  do run = await admin(page, 'GET', `${at}/run`);
  while (run.state.state === 'running');
  if (run.state.state !== 'done') throw new Error(JSON.stringify(run));
  await admin(page, 'POST', `${at}/action`, { action: 'refresh' });
}

const browser = await openBrowser();
const google = await startGoogle({ keys: GOOGLES, args: ['--rpm', '12'] });
const clouds = await startClouds(google);
const server = await startOnUsualPort(google, { AUTH_TOKEN: PASSWORD, TZ: 'Asia/Shanghai', ALLOWED_TOKENS: TOKEN });
const empty = await startServer(google);
try {
  await mkdir(folder, { recursive: true });
  const hand = await openPage(browser, server.address);
  await signIn(hand, server);
  await admin(hand.page, 'POST', '/api/keys/import', { text: POOL.join('\n') });
  const keys = await admin(hand.page, 'GET', '/api/keys');
  await admin(hand.page, 'PATCH', `/api/keys/${keys[SWITCHED_OFF].id}`, { enabled: false });
  await live(server.address);
  await putOnline(hand.page, clouds);

  for (const [code, { locale, labels }] of Object.entries(LANGUAGES)) {
    for (const [i, key] of keys.entries()) await admin(hand.page, 'PATCH', `/api/keys/${key.id}`, { label: labels[i] });
    for (const colorScheme of THEMES) {
      const look = { lang: locale, colorScheme, reducedMotion: 'reduce', viewport: SIZE };
      const shot = async (view, name) => {
        await view.page.evaluate(() => document.fonts.ready);
        const path = join(folder, `${name}-${code}-${colorScheme}.png`);
        await view.page.screenshot({ path, animations: 'disabled', caret: 'hide' });
      };

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
      for (const { name, path, ready } of all ? [...PAGES, ...MORE_PAGES] : PAGES) {
        await view.page.goto(`${server.address}/${path}`);
        await view.id(ready).waitFor();
        await shot(view, name);
      }
      await view.page.goto(`${server.address}/#/connect`);
      await view.id('test-send').click();
      await view.id('test-answer').waitFor();
      await view.id('test-card').scrollIntoViewIfNeeded();
      await shot(view, 'test');
      await view.close();
    }
  }
} finally {
  await Promise.allSettled([browser.close(), server.stop(), empty.stop(), clouds.stop()]);
  await google.stop();
}
console.log(`The pictures are in ${folder}.`);
