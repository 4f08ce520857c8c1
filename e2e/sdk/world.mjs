// What the SDKs' tests in JavaScript stand on: one server and one fake Google for each file.

import { TOKEN, startGoogle, startServer } from '../programs.mjs';

// A model of each way to think: the second refuses a call without its thought signature.
export const MODELS = ['gemini-2.5-flash', 'gemini-3.5-flash'];
export const [MODEL] = MODELS;

// A picture of one pixel.
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

// The SDKs read keys and addresses from the environment; a test must not.
for (const name of Object.keys(process.env)) {
  if (/^(OPENAI|ANTHROPIC|GOOGLE|GEMINI)_/.test(name) || /_proxy$/i.test(name)) delete process.env[name];
}

export async function openWorld(google_args = [], env = {}) {
  const google = await startGoogle({ args: google_args });
  const keys = 'AIzaSyTEST-0000000000000000000000000001,AQ.Ab8TEST-000000000000000000000000000000000000000000003';
  const start = () =>
    startServer(google, { API_KEYS: keys, ALLOWED_TOKENS: TOKEN, AUTH_TOKEN: 'sdk-test-password', ...env });
  let server = await start().catch(async (error) => {
    await google.stop();
    throw error;
  });
  return {
    get address() {
      return server.address;
    },
    token: TOKEN,
    // Another server takes over, one that knows nothing of what was said.
    async replace() {
      await server.stop();
      server = await start();
    },
    async close() {
      await server.stop();
      await google.stop();
    },
  };
}
