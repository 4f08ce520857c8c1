// What tests of deployments share: the fakes, and the way through the wizard.

import { after, before } from 'node:test';
import {
  FAILED_RESPONSE,
  KEYS,
  PASSWORD,
  TOKEN,
  admin,
  inPanel,
  openBrowser,
  signIn,
  startClouds,
  startGoogle,
} from './harness.mjs';

// Secrets are kept sealed, so there must be a key for that.
export const CONFIGURED = { AUTH_TOKEN: PASSWORD, ALLOWED_TOKENS: TOKEN, SECRET_KEY: '7'.repeat(64) };

// A browser, a fake Google and fake clouds for all tests of a file.
export function sky() {
  const sky = {};
  before(async () => {
    [sky.browser, sky.google] = await Promise.all([openBrowser(), startGoogle()]);
    sky.clouds = await startClouds(sky.google);
  });
  after(async () => {
    await Promise.allSettled([sky.browser?.close(), sky.clouds?.stop()]);
    await sky.google?.stop();
  });
  return sky;
}

// A signed-in page of a server of its own that has a key.
export const signedIn = (sky, t, options, body) =>
  inPanel(t, sky, { env: CONFIGURED, allowed: [FAILED_RESPONSE], ...options }, async (view, server) => {
    await signIn(view, server);
    await admin(view.page, 'POST', '/api/keys/import', { text: KEYS[2] });
    await body(view, server);
  });

// Hands the account at a fake cloud over, as a person does.
export async function handOver({ clouds }, { id }, key = clouds['render-key'], cloud = 'render') {
  await id('account-more').click();
  await id('account-api').fill(clouds[cloud]);
  await id('account-secret').fill(key);
  await id('account-add').click();
}

// Through the wizard up to the plan.
export async function toThePlan(sky, view, name, cloud = 'render') {
  const { id } = view;
  await id('nav-deploy').click();
  await id(`choose-${cloud}`).click();
  await id('deploy-name').fill(name);
  await handOver(sky, view, sky.clouds[`${cloud}-key`], cloud);
  await id('account-works').waitFor();
  await id('wizard-next').click();
  await id('data-none').click();
  await id('wizard-next').click();
  await id('image-which-other').click();
  await id('image-name').fill(sky.clouds.image);
  await id('image-check').click();
  await id('image-found').waitFor();
  await id('wizard-next').click();
  await id('plan-steps').waitFor();
}

// Has it done, and waits for the end.
export async function apply({ page, id }) {
  await id('plan-apply').click();
  await page.locator('[data-testid="run-progress"][data-state="done"]').waitFor();
}

// What is deployed, as the instance tells it.
export const remotes = async (page) => (await admin(page, 'GET', '/api/deploy/remotes')).json;
