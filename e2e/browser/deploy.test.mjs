// From the wizard to an instance on a cloud that answers, and what is done with it then:
// its panel inside this one, the way back, the end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIGURED, apply, handOver, remotes, signedIn, sky, toThePlan } from './deploying.mjs';
import { KEYS, PASSWORD, admin, comesTrue, shows, startServer } from './harness.mjs';

const world = sky();

test('an instance goes online at Render and is used from here, without a variable being typed', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    await toThePlan(world, view, 'gb-online');
    await shows(id('plan-cost'), 'nothing');
    const [draft] = await remotes(page);
    assert.equal(draft.state.state, 'draft', 'something was done before it was confirmed');

    await apply(view);
    for (const step of ['create_app', 'wait_healthy', 'sign_in', 'try_request']) {
      assert.equal(await id(`run-step-${step}`).getAttribute('data-state'), 'done', step);
    }
    await id('run-done').click();
    await id('deploy-done').waitFor();
    const url = await id('done-url').inputValue();
    assert.match(url, /^http/);
    assert.equal(await id('done-openai').inputValue(), `${url}/v1`);

    // Its page of clients, inside this panel.
    await id('done-connect').click();
    await shows(id('panel-banner-name'), 'gb-online');
    await id('endpoints-card').waitFor();
    assert.match(page.url(), /#\/instances\/\d+\/panel\/connect$/);
    await page.reload();
    await shows(id('panel-banner-name'), 'gb-online');
    await id('nav-keys').click();
    await page.locator('tr[data-testid^="key-row-"]').first().waitFor();
    assert.equal(await page.locator('tr[data-testid^="key-row-"]').count(), 1, 'the key was not sent');
    assert.equal(await id('nav-account').count(), 0);
    await id('panel-back').click();
    await shows(id('remote-name'), 'gb-online');
    await page.locator('[data-testid="remote-state"][data-state="running"]').first().waitFor();
  });
});

test('an instance goes online at Koyeb, too, and its log is shown', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    await toThePlan(world, view, 'gb-koyeb', 'koyeb');
    await shows(id('plan-cost'), 'nothing');
    await apply(view);
    assert.equal(await id('run-step-try_request').getAttribute('data-state'), 'done');
    await id('run-done').click();
    await id('deploy-done').waitFor();
    const url = await id('done-url').inputValue();
    const { status } = await fetch(`${url}/health`);
    assert.equal(status, 200);
    const [remote] = await remotes(page);
    const logs = await admin(page, 'GET', `/api/deploy/remotes/${remote.id}/logs`);
    assert.match(JSON.stringify(logs.json), /listening on/);
  });
});

test('a key that the provider refuses is not kept, and says what to do', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    await id('nav-deploy').click();
    await id('choose-render').click();
    await handOver(world, view, 'rnd_not-the-key');
    await shows(id('error'), 'does not accept this account');
    assert.ok(await id('wizard-next').isDisabled());
    assert.deepEqual((await admin(page, 'GET', '/api/deploy/accounts')).json, []);
  });
});

test('what was chosen survives going back and a reload', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    await toThePlan(world, view, 'gb-back');
    await page.reload();
    await id('plan-steps').waitFor();
    await id('wizard-back').click();
    await id('preview-card').waitFor();
    assert.equal(await id('image-name').inputValue(), world.clouds.image);
    await page.goBack();
    await id('plan-steps').waitFor();
    assert.equal((await remotes(page)).length, 1, 'a second draft was made');
  });
});

// What is shown as .env, as an environment.
const asEnvironment = (text) =>
  Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
      .map(([name, value]) => [name, value.startsWith('"') ? JSON.parse(value) : value]),
  );

test('without handing a key over: the console’s fields, and the address at the end', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    await id('nav-deploy').click();
    await id('choose-render').click();
    await id('deploy-name').fill('gb-by-hand');
    await id('account-way-hand').click();
    await id('wizard-next').click();
    await id('wizard-next').click();
    await id('variable-AUTH_TOKEN').waitFor();
    await id('wizard-next').click();
    await id('hand-steps').waitFor();
    assert.equal(await id('hand-name').inputValue(), 'gb-by-hand');
    assert.match(await id('hand-open').getAttribute('href'), /^https:\/\/dashboard\.render\.com\//);

    // A person does in the console what is shown; here, a server is started with it.
    await id('variables-env-show').click();
    await id('variables-env-text').waitFor();
    const environment = asEnvironment(await id('variables-env-text').inputValue());
    assert.ok(environment.AUTH_TOKEN.length >= 20, 'a weak password');
    const { PORT, HOST, DATA_DIR, ...env } = environment;
    const there = await startServer(world.google, env);
    t.after(() => there.stop());
    await id('locate-url').fill(there.address);
    await id('locate-submit').click();
    await id('deploy-done').waitFor();
    await id('done-panel').click();
    await shows(id('panel-banner-name'), 'gb-by-hand');
    await id('pool-ready').waitFor();
  });
});

test('each other door ends in something to paste', async (t) => {
  await signedIn(world, t, {}, async ({ page, id }) => {
    for (const [door, has] of [
      ['docker', 'compose'],
      ['variables', 'json'],
    ]) {
      await page.goto(`${page.url().split('#')[0]}#/deploy`);
      await id(`choose-${door}`).click();
      await id('deploy-name').fill(`gb-${door}`);
      await id('wizard-next').click();
      await id('variable-AUTH_TOKEN').waitFor();
      await id('wizard-next').click();
      await id(`variables-${has}-show`).click();
      await id(`variables-${has}-text`).waitFor();
      assert.match(await id(`variables-${has}-text`).inputValue(), /AUTH_TOKEN/, door);
    }
  });
});

test('one that runs already is added, seen through its own panel, and asked how it is', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    const there = await startServer(world.google, CONFIGURED);
    t.after(() => there.stop());
    await id('nav-instances').click();
    await id('instances-empty').waitFor();
    await id('remote-add').click();
    await id('add-remote-name').fill('friend');
    await id('add-remote-url').fill(there.address);
    await id('add-remote-password').fill('not the password');
    await id('add-remote-submit').click();
    await shows(id('add-remote'), 'not right');
    await id('add-remote-password').fill(PASSWORD);
    await id('add-remote-submit').click();
    const [remote] = await (async () => {
      await id('add-remote').waitFor({ state: 'detached' });
      return remotes(page);
    })();

    // A key that is added in its panel is its own.
    await id(`remote-panel-${remote.id}`).click();
    await shows(id('panel-banner-name'), 'friend');
    await id('nav-keys').click();
    await id('key-paste').fill(KEYS[0]);
    await id('key-add').click();
    await page.locator('tr[data-testid^="key-row-"]').first().waitFor();
    assert.equal((await admin(page, 'GET', '/api/keys')).json.length, 1, 'it was added here');

    await id('panel-back').click();
    await shows(id('remote-name'), 'friend');
    await id(`remote-refresh-${remote.id}`).click();
    await comesTrue(async () => (await remotes(page))[0].health?.keys_total === 1);
    await page.locator('[data-testid="remote-state"][data-state="running"]').first().waitFor();
  });
});

test('deleting wants the name, and leaves nothing at the provider', async (t) => {
  await signedIn(world, t, {}, async (view) => {
    const { page, id } = view;
    await toThePlan(world, view, 'gb-gone');
    await apply(view);
    await id('run-done').click();
    await id('done-instance').click();
    await id('tab-app').click();
    await id('remote-delete').click();
    assert.ok(await id('end-confirm').isDisabled(), 'without a word');
    await id('end-typed').fill('gb-gon');
    assert.ok(await id('end-confirm').isDisabled(), 'by another name');
    await id('end-typed').fill('gb-gone');
    await id('end-confirm').click();
    await id('end').waitFor({ state: 'detached' });
    const services = async () => {
      const headers = { authorization: `Bearer ${world.clouds['render-key']}` };
      const answer = await fetch(`${world.clouds.render}/services?name=gb-gone`, { headers });
      return (await answer.json()).length;
    };
    await comesTrue(async () => (await admin(page, 'GET', '/api/deploy/remotes')).json.length === 0);
    assert.equal(await services(), 0);
  });
});

test('in Chinese, on a phone, nothing of the wizard is wider than the screen', async (t) => {
  const phone = { lang: 'zh-CN', colorScheme: 'dark', viewport: { width: 390, height: 800 } };
  await signedIn(world, t, phone, async ({ page, id }, server) => {
    for (const path of ['#/instances', '#/deploy', '#/deploy?step=account&door=render', '#/deploy?step=data&door=docker']) {
      await page.goto(`${server.address}/${path}`);
      await page.locator('.gb-page-head h1').waitFor();
      const over = await page.evaluate(() => {
        const main = document.querySelector('main');
        return Math.max(main.scrollWidth - main.clientWidth, document.documentElement.scrollWidth - innerWidth);
      });
      assert.ok(over <= 0, `${path} is ${over} px too wide`);
    }
    await shows(page.locator('.gb-page-head h1'), '部署新实例');
  });
});
