// A remote and the instance that deployed it, made alike: the difference shown, sent there or
// taken over, a secret replaced, and everything put elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, remotes, signedIn, sky, toThePlan } from './deploying.mjs';
import { KEYS, TOKEN, admin, comesTrue, shows } from './harness.mjs';

const world = sky();

// A page of an instance that has deployed one, on the page of that.
const deployed = (t, name, body) =>
  signedIn(world, t, {}, async (view, server) => {
    await toThePlan(world, view, name);
    await apply(view);
    await view.id('run-done').click();
    await view.id('done-instance').click();
    await shows(view.id('remote-name'), name);
    await body(view, server);
  });

// Asks the remote's own admin API through this instance.
const there = (page, method, path, body) => admin(page, method, `/api/deploy/remotes/1/panel${path}`, body);

test('what differs is shown, and sent there or taken over', async (t) => {
  await deployed(t, 'gb-truth', async ({ page, id }) => {
    await id('tab-drift').click();
    await id('drift-none').waitFor();

    // Somebody adds a key and a token in its panel, and there is a token here.
    await there(page, 'POST', '/api/keys/import', { text: KEYS[0] });
    await there(page, 'POST', '/api/tokens', { name: 'made there' });
    await admin(page, 'POST', '/api/tokens', { name: 'made here' });
    await page.reload();
    await id('drift-keys').waitFor();
    await shows(id('drift-tokens'), 'made there');
    await shows(id('drift-tokens'), 'made here');
    assert.ok(!(await page.content()).includes(KEYS[0]), 'a key is in the page');

    await id('drift-take-keys').click();
    await id('drift-ask-confirm').click();
    await shows(id('drift-report'), '1 added');
    await id('drift-keys').waitFor({ state: 'detached' });
    assert.equal((await admin(page, 'GET', '/api/keys')).json.length, 2, 'the key has not come');

    await id('drift-push-tokens').click();
    await id('drift-ask-confirm').click();
    await shows(id('drift-report'), '1 added');
    await id('drift-tokens').waitFor({ state: 'detached' });
    const tokens = (await there(page, 'GET', '/api/tokens')).json.map((token) => token.name);
    assert.ok(tokens.includes('made here') && !tokens.includes('made there'), tokens);
    // The key that came is wished for now, so its variable differs until the next deploy.
    await id('drift-variables').waitFor();
    await id('drift-apply-variables').click();
    await id('part-app').waitFor();
  });
});

test('requests of clients go through a remote, and the log says so', async (t) => {
  await deployed(t, 'gb-route', async ({ page, id }, server) => {
    await id('nav-instances').click();
    await id('route').selectOption({ label: 'through gb-route' });
    await id('route-away').waitFor();
    await id('route-away').selectOption('hold');
    const ask = () =>
      fetch(`${server.address}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'gemini-2.5-flash', messages: [{ role: 'user', content: 'hi' }] }),
      });
    await comesTrue(async () => (await admin(page, 'GET', '/api/deploy/route')).json.when_away === 'hold');
    assert.equal((await ask()).status, 200);
    await comesTrue(async () => (await admin(page, 'GET', '/api/requests')).json.requests.length === 1);
    await page.reload();
    await shows(id('route-presence'), 'answers');
    await id('nav-requests').click();
    await shows(id('requests-table'), 'through gb-route');
    await id('route-card').waitFor({ state: 'detached' });
    await id('nav-instances').click();
    await id('route').selectOption('');
    await id('route-away').waitFor({ state: 'detached' });
  });
});

test('a client token is replaced, and the new one is used', async (t) => {
  await deployed(t, 'gb-secret', async ({ page, id }) => {
    const access = async () => (await admin(page, 'POST', '/api/deploy/remotes/1/access', {})).json;
    const before = await access();
    await id('tab-app').click();
    await id('rotate-client_token').click();
    await id('rotate-confirm').click();
    await id('rotate').waitFor({ state: 'detached' });
    await comesTrue(async () => {
      const run = (await admin(page, 'GET', '/api/deploy/remotes/1/run')).json;
      return run.state.state === 'done' && run.steps.at(-1).step.kind === 'revoke_old';
    });
    const now = await access();
    assert.notEqual(now.token, before.token);
    const asked = (token) => fetch(`${now.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await asked(now.token)).status, 200);
    assert.equal((await asked(before.token)).status, 401);
  });
});

test('everything moves elsewhere, with the same secrets', async (t) => {
  await deployed(t, 'gb-moves', async (view) => {
    const { page, id } = view;
    await id('tab-app').click();
    await id('remote-move').click();
    await id('choose-render').click();
    assert.equal(await id('deploy-name').inputValue(), 'gb-moves');
    await id('account-works').waitFor();
    await id('wizard-next').click();
    await id('wizard-next').click();
    await id('image-name').waitFor();
    assert.equal(await id('image-name').inputValue(), world.clouds.image);
    await id('wizard-next').click();
    await id('plan-steps').waitFor();
    await apply(view);
    const all = await remotes(page);
    assert.deepEqual(
      all.map((remote) => remote.name),
      ['gb-moves', 'gb-moves-2'],
    );
    const token = async (number) => (await admin(page, 'POST', `/api/deploy/remotes/${number}/access`, {})).json.token;
    assert.equal(await token(2), await token(1));
  });
});
