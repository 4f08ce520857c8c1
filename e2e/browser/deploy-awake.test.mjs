// A remote on a free plan: it falls asleep, is seen asleep without being woken, is woken, and is
// kept awake.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  FAILED_RESPONSE,
  KEYS,
  PASSWORD,
  TOKEN,
  admin,
  inPanel,
  openBrowser,
  shows,
  signIn,
  startClouds,
  startGoogle,
} from './harness.mjs';

let browser;
let google;
let clouds;

before(async () => {
  [browser, google] = await Promise.all([openBrowser(), startGoogle()]);
  clouds = await startClouds(google, ['--step', '50', '--wake', '200']);
});

after(async () => {
  await Promise.allSettled([browser?.close(), clouds?.stop()]);
  await google?.stop();
});

// Secrets are kept sealed, so there must be a key for that.
const CONFIGURED = { AUTH_TOKEN: PASSWORD, ALLOWED_TOKENS: TOKEN, SECRET_KEY: '7'.repeat(64), TZ: 'Asia/Shanghai' };

const SLEEP = 16 * 60;

// A signed-in page of a server of its own, with a remote that runs at the fake Render.
const withRemote = (t, name, body) =>
  inPanel(t, { browser, google }, { env: CONFIGURED, allowed: [FAILED_RESPONSE] }, async (view, server) => {
    const { page } = view;
    await signIn(view, server);
    await admin(page, 'POST', '/api/keys/import', { text: KEYS[2] });
    const account = { provider: 'render', secret: clouds['render-key'], api: clouds.render };
    const { id: number } = (await admin(page, 'POST', '/api/deploy/accounts', account)).json;
    const [key] = (await admin(page, 'GET', '/api/keys')).json;
    const wish = {
      name,
      account: number,
      plan: 'free',
      image: clouds.image,
      database: { kind: 'none' },
      keys: [key.id],
      time_zone: 'Asia/Shanghai',
    };
    const { id: remote } = (await admin(page, 'POST', '/api/deploy/remotes', wish)).json;
    await page.goto(`${server.address}/#/deploy?step=plan&remote=${remote}`);
    await view.id('plan-apply').click();
    await page.locator('[data-testid="run-progress"][data-state="done"]').waitFor();
    await body(view, server, remote);
  });

const inState = (page, state) => page.locator(`[data-testid="remote-state"][data-state="${state}"]`).first().waitFor();

const show = (view, server, remote, part) => view.page.goto(`${server.address}/#/instances/${remote}/${part}`);

test('one that sleeps is seen asleep, not woken by looking, and wakes at a press of a button', async (t) => {
  await withRemote(t, 'gb-sleeper', async (view, server, remote) => {
    const { page, id } = view;
    await show(view, server, remote, 'overview');
    await inState(page, 'running');
    await clouds.advance(SLEEP);
    await id(`remote-refresh-${remote}`).click();
    await inState(page, 'asleep');
    await id(`remote-refresh-${remote}`).click();
    await shows(page.locator('main'), 'The next request wakes it up');
    await inState(page, 'asleep');
    await id(`remote-wake-${remote}`).click();
    await inState(page, 'running');
    await id(`remote-wake-${remote}`).waitFor({ state: 'detached' });
  });
});

test('one that is kept awake says when it is asked next and what that costs; quiet hours let it sleep', async (t) => {
  await withRemote(t, 'gb-awake', async (view, server, remote) => {
    const { page, id } = view;
    await show(view, server, remote, 'keep_alive');
    await shows(id('keep-alive-now'), 'no');
    assert.match(await id('pinger-url').inputValue(), /\/health$/);
    // The switch itself is drawn over its input.
    await id('keep-alive').locator('..').click();
    await shows(id('keep-alive-now'), 'asked again in');
    await shows(id('keep-alive-hours'), 'of 750 hours');
    const seen = async () => (await admin(page, 'GET', `/api/deploy/remotes/${remote}`)).json;
    assert.equal((await seen()).keep_alive.enabled, true);

    // From this hour of Shanghai on, to the one before it.
    const hour = (new Date().getUTCHours() + 8) % 24;
    const quiet = { from: hour, to: (hour + 23) % 24 };
    const path = `/api/deploy/remotes/${remote}/keep-alive`;
    assert.equal((await admin(page, 'PUT', path, { enabled: true, quiet })).status, 200);
    await page.reload();
    await shows(id('keep-alive-now'), 'may sleep now');
    await id('keep-alive').locator('..').click();
    await shows(id('keep-alive-now'), 'no');
    assert.equal((await seen()).keep_alive.enabled, false);
  });
});
