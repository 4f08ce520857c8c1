// A loop of parallel calls goes on when the server is replaced by another one between its steps: what
// the server needs of the past, thought signatures above all, is in what the clients keep.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { openWorld } from './world.mjs';

const MODEL = 'gemini-3.5-flash';
const STEPS = 3;
const LOOP = `@loop ${STEPS} read {"path": "a{n}"} | list {"path": "b{n}"}`;
const DONE = `The loop is over: ${STEPS} steps, ${2 * STEPS} results.`;
const NAMES = ['read', 'list'];
const SCHEMA = { type: 'object', properties: { path: { type: 'string' } } };
const content = (args) => `content of ${args.path}`;

let world;
before(async () => {
  world = await openWorld();
});
after(() => world?.close());

// Asks until nothing is called any more, each time another server. `step` asks once: what was said
// last when there are no calls.
async function untilDone(step) {
  for (let n = 0; n <= STEPS; n += 1) {
    const said = await step();
    if (said !== undefined) {
      assert.equal(n, STEPS);
      assert.equal(said, DONE);
      return;
    }
    await world.replace();
  }
  assert.fail('the loop has no end');
}

test('chat', async () => {
  const messages = [{ role: 'user', content: LOOP }];
  const tools = NAMES.map((name) => ({ type: 'function', function: { name, parameters: SCHEMA } }));
  await untilDone(async () => {
    const client = new OpenAI({ baseURL: `${world.address}/v1`, apiKey: world.token, maxRetries: 0 });
    const answer = await client.chat.completions.stream({ model: MODEL, messages, tools }).finalChatCompletion();
    const [{ message }] = answer.choices;
    if (!message.tool_calls?.length) return message.content;
    assert.equal(message.tool_calls.length, 2);
    messages.push(message);
    for (const { id, function: called } of message.tool_calls) {
      messages.push({ role: 'tool', tool_call_id: id, content: content(JSON.parse(called.arguments)) });
    }
    return undefined;
  });
});

test('responses', async () => {
  const input = [{ role: 'user', content: LOOP }];
  const tools = NAMES.map((name) => ({ type: 'function', name, parameters: SCHEMA, strict: false }));
  await untilDone(async () => {
    const client = new OpenAI({ baseURL: `${world.address}/v1`, apiKey: world.token, maxRetries: 0 });
    const asked = { model: MODEL, input, tools, store: false, include: ['reasoning.encrypted_content'] };
    const answer = await client.responses.stream(asked).finalResponse();
    const calls = answer.output.filter((item) => item.type === 'function_call');
    if (calls.length === 0) return answer.output_text;
    assert.equal(calls.length, 2);
    input.push(...answer.output);
    for (const { call_id, arguments: args } of calls) {
      input.push({ type: 'function_call_output', call_id, output: content(JSON.parse(args)) });
    }
    return undefined;
  });
});

test('messages', async () => {
  const messages = [{ role: 'user', content: LOOP }];
  const tools = NAMES.map((name) => ({ name, input_schema: SCHEMA }));
  await untilDone(async () => {
    const client = new Anthropic({ baseURL: world.address, apiKey: world.token, maxRetries: 0 });
    const answer = await client.messages.stream({ model: MODEL, max_tokens: 999, messages, tools }).finalMessage();
    const calls = answer.content.filter((block) => block.type === 'tool_use');
    if (calls.length === 0) return answer.content.map((block) => block.text ?? '').join('');
    assert.equal(calls.length, 2);
    messages.push({ role: 'assistant', content: answer.content });
    const results = calls.map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: content(input) }));
    messages.push({ role: 'user', content: results });
    return undefined;
  });
});
