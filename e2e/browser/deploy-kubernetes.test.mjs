// ClawCloud Run by a kubeconfig, from the wizard to its end; and what the door of Sealos and
// Kubernetes refuses. The cloud's pods are processes of the real server, behind TLS.

import assert from 'node:assert/strict';
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
  shows,
  signIn,
  startClouds,
  startGoogle,
} from './harness.mjs';

let browser;
let google;
let clouds;
let kubeconfig;

before(async () => {
  [browser, google] = await Promise.all([openBrowser(), startGoogle()]);
  clouds = await startClouds(google);
  kubeconfig = await readFile(clouds['claw-kubeconfig'], 'utf8');
});

after(async () => {
  await Promise.allSettled([browser?.close(), clouds?.stop()]);
  await google?.stop();
});

// A signed-in page of a server of its own that has a key, and that trusts the cloud's edge.
function signedIn(t, options, body) {
  const env = {
    AUTH_TOKEN: PASSWORD,
    ALLOWED_TOKENS: TOKEN,
    SECRET_KEY: '7'.repeat(64),
    SSL_CERT_FILE: clouds['claw-ca'],
  };
  return inPanel(t, { browser, google }, { env, allowed: [FAILED_RESPONSE], ...options }, async (view, server) => {
    await signIn(view, server);
    await admin(view.page, 'POST', '/api/keys/import', { text: KEYS[2] });
    await body(view, server);
  });
}

const remotes = async (page) => (await admin(page, 'GET', '/api/deploy/remotes')).json;
const accounts = async (page) => (await admin(page, 'GET', '/api/deploy/accounts')).json;

test('an instance goes online at ClawCloud by a file that is chosen, and is used, rolled back and deleted', async (t) => {
  await signedIn(t, {}, async (view) => {
    const { page, id } = view;
    await id('nav-deploy').click();
    await id('choose-claw_cloud').click();
    await id('deploy-name').fill('gb-claw');
    await id('account-secret-file').setInputFiles(clouds['claw-kubeconfig']);
    await id('account-add').click();
    await shows(id('account-works'), 'ns-demo/demo');
    await shows(id('account-works'), 'apps.localhost');
    await shows(id('account-chosen'), 'limits.memory');
    assert.deepEqual(await id('account-plan').locator('option').count(), 3);
    const kept = await page.locator('textarea').evaluateAll((all) => all.map((one) => one.value).join());
    assert.ok(!kept.includes('token:'), 'the kubeconfig stays on the screen');
    await id('wizard-next').click();

    // A volume and a MySQL can be had here; nothing is simplest.
    for (const kind of ['none', 'volume', 'in_cluster', 'mysql']) {
      assert.ok(await id(`data-${kind}`).isEnabled(), kind);
    }
    await id('data-volume').click();
    await id('data-gib').fill('1');
    await id('wizard-next').click();
    await id('image-which-other').click();
    await id('image-name').fill(clouds.image);
    await id('image-check').click();
    await id('image-found').waitFor();
    await id('wizard-next').click();
    await id('plan-steps').waitFor();
    await id('plan-apply').click();
    await page.locator('[data-testid="run-progress"][data-state="done"]').waitFor();
    for (const step of ['create_app', 'wait_live', 'wait_healthy', 'sign_in', 'try_request']) {
      assert.equal(await id(`run-step-${step}`).getAttribute('data-state'), 'done', step);
    }
    await id('run-done').click();
    await id('deploy-done').waitFor();
    assert.match(await id('done-url').inputValue(), /^https:\/\/[a-z]{12}\.apps\.localhost:\d+$/);

    // Its own panel within this one, over the cloud's edge.
    await id('done-panel').click();
    await shows(id('panel-banner-name'), 'gb-claw');
    await id('pool-ready').waitFor();
    await id('panel-back').click();
    await shows(id('remote-name'), 'gb-claw');

    await id('tab-log').click();
    await shows(id('log-lines'), 'listening on');
    await id('tab-deploys').click();
    await id('deploy-1').waitFor();
    const [remote] = await remotes(page);
    assert.equal(remote.state.state, 'running');

    // Another image by the newest of its tag; and back.
    const action = (wish) => admin(page, 'POST', `/api/deploy/remotes/${remote.id}/action`, wish);
    assert.equal((await action({ action: 'redeploy' })).status, 200);
    await page.reload();
    await page.locator('[data-testid="remote-state"][data-state="running"]').first().waitFor();
    await id('deploy-2').waitFor();
    await id('roll-back-1').click();
    await id('deploy-again-confirm').click();
    await id('deploy-3').waitFor();

    await id('tab-app').click();
    await id('remote-delete').click();
    await id('end-typed').fill('gb-claw');
    await id('end-confirm').click();
    await id('end').waitFor({ state: 'detached' });
    assert.deepEqual(await remotes(page), []);
  });
});

test('用中文：会执行程序、不校验证书或残缺的 kubeconfig 会被拒绝，并说明怎么办', async (t) => {
  await signedIn(t, { lang: 'zh-CN' }, async (view) => {
    const { page, id } = view;
    const token = kubeconfig.match(/token: (\S+)/)[1];
    await id('nav-deploy').click();
    await id('choose-kubernetes').click();
    await shows(page.locator('.gb-steps'), 'Sealos');
    await id('deploy-name').fill('gb-sealos');
    const exec = 'exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/tmp/gb-never]}';
    for (const [text, words] of [
      [kubeconfig.replace(`token: ${token}`, exec), 'exec'],
      [kubeconfig.replace(/certificate-authority-data: \S+/, 'insecure-skip-tls-verify: true'), 'insecure-skip-tls-verify'],
      [kubeconfig.replace(/certificate-authority-data: \S+/, 'certificate-authority: /etc/ca.pem'), '--flatten'],
      [kubeconfig.replace(/ +namespace: \S+\n/, ''), 'namespace'],
      [kubeconfig.slice(0, 60), 'apiVersion'],
      [kubeconfig.replace(token, `${token}x`), '云平台拒绝了该账号凭据'],
    ]) {
      await id('account-secret').fill(text);
      await id('account-add').click();
      await shows(id('error'), words);
      assert.ok(!(await id('error').innerText()).includes(token), 'the token is told');
      assert.ok(await id('wizard-next').isDisabled(), words);
    }
    assert.deepEqual(await accounts(page), []);

    // The right one is taken, whichever of the two doors it comes by.
    await id('account-secret').fill(kubeconfig);
    await id('account-add').click();
    await shows(id('account-works'), '账号可用');
    assert.equal((await accounts(page)).length, 1);
    assert.ok(!(await page.content()).includes(token), 'the token stays on the screen');
  });
});
