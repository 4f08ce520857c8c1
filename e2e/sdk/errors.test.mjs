// What goes wrong at Google arrives as the error that each SDK has for it, streamed or not, with
// words about what to do and without a key.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { ApiError, GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { MODEL, openWorld } from './world.mjs';

// One question in each protocol, streamed and not. A stream is read to its end.
function questions({ address, token }) {
  const openai = new OpenAI({ baseURL: `${address}/v1`, apiKey: token, maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: address, apiKey: token, maxRetries: 0 });
  const google = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: address } });
  const drain = async (stream) => {
    for await (const event of await stream) assert.ok(event);
  };
  const messages = [{ role: 'user', content: 'Hi.' }];
  return {
    chat: () => openai.chat.completions.create({ model: MODEL, messages }),
    'chat, streamed': () => drain(openai.chat.completions.create({ model: MODEL, messages, stream: true })),
    responses: () => openai.responses.create({ model: MODEL, input: 'Hi.' }),
    'responses, streamed': () => drain(openai.responses.create({ model: MODEL, input: 'Hi.', stream: true })),
    messages: () => anthropic.messages.create({ model: MODEL, max_tokens: 99, messages }),
    'messages, streamed': () => anthropic.messages.stream({ model: MODEL, max_tokens: 99, messages }).finalMessage(),
    gemini: () => google.models.generateContent({ model: MODEL, contents: 'Hi.' }),
    'gemini, streamed': () => drain(google.models.generateContentStream({ model: MODEL, contents: 'Hi.' })),
  };
}

async function allReject(world, kinds, words) {
  for (const [name, question] of Object.entries(questions(world))) {
    await assert.rejects(question, (error) => {
      const [vendor] = Object.entries({ gemini: ApiError, messages: Anthropic.APIError }).find(([its]) => name.startsWith(its)) ?? ['openai'];
      const { kind, status } = kinds[vendor];
      assert.ok(error instanceof kind, `${name}: ${error.constructor.name} ${error.message}`);
      assert.equal(error.status, status, name);
      assert.match(error.message, words, name);
      assert.doesNotMatch(`${error.message} ${JSON.stringify(error)}`, /AIzaSy|AQ\.Ab8/, 'a key is told');
      return true;
    });
  }
}

test('all keys are out of their daily quota', async () => {
  const world = await openWorld(['--rpd', '1']);
  try {
    // Whatever there is, is used up.
    const ask = questions(world).gemini;
    for (let n = 0; n < 4; n += 1) await ask().catch(() => {});
    await allReject(
      world,
      {
        openai: { kind: OpenAI.RateLimitError, status: 429 },
        messages: { kind: Anthropic.RateLimitError, status: 429 },
        gemini: { kind: ApiError, status: 429 },
      },
      /quota|limit|requests of today/i,
    );
  } finally {
    await world.close();
  }
});

test('Google refuses every key', async () => {
  const keys = ['AIzaSyTEST-0000000000000000000000000001', 'AQ.Ab8TEST-000000000000000000000000000000000000000000003'];
  const world = await openWorld(['--refuse', keys.map((key) => `${key}=suspended`).join(',')]);
  try {
    // Who asks first learns of it; then there is no key left to ask with.
    await assert.rejects(questions(world).gemini);
    await allReject(
      world,
      {
        openai: { kind: OpenAI.InternalServerError, status: 503 },
        messages: { kind: Anthropic.InternalServerError, status: 503 },
        gemini: { kind: ApiError, status: 503 },
      },
      /key/i,
    );
  } finally {
    await world.close();
  }
});

test('nobody listens where Google should be', async () => {
  const world = await openWorld([], { BASE_URL: 'http://127.0.0.1:9/v1beta', MAX_RETRIES: '1' });
  try {
    for (const [name, question] of Object.entries(questions(world))) {
      await assert.rejects(question, (error) => {
        assert.ok(error.status >= 500, `${name}: ${error.status} ${error.message}`);
        assert.match(error.message, /reach|connect/i, name);
        return true;
      });
    }
  } finally {
    await world.close();
  }
});
