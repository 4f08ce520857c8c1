// The official `@anthropic-ai/sdk` for JavaScript against the real server, with its helpers for
// streams, parsing and running tools.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { MODEL, MODELS, PNG, openWorld } from './world.mjs';

let world;
let client;
before(async () => {
  world = await openWorld();
  client = new Anthropic({ baseURL: world.address, apiKey: world.token, maxRetries: 0 });
});
after(() => world?.close());

const ask = (text) => [{ role: 'user', content: text }];
const said = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

test('a message', async () => {
  const message = await client.messages.create({
    model: MODEL,
    max_tokens: 500,
    system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
    messages: ask('Good day!'),
    temperature: 0.2,
    stop_sequences: ['#'],
  });
  assert.equal(message.type, 'message');
  assert.equal(message.stop_reason, 'end_turn');
  assert.match(said(message), /Good day!/);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
});

test('a token as bearer, and a name of Claude', async () => {
  const bearer = new Anthropic({ baseURL: world.address, authToken: world.token, apiKey: null, maxRetries: 0 });
  const message = await bearer.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 500, messages: ask('Hi.') });
  assert.equal(message.model, 'claude-sonnet-4-5');
  assert.match(said(message), /Hi\./);
});

test('a stream says what the whole answer says', async () => {
  const asked = { model: MODEL, max_tokens: 2000, messages: ask('Twice the same, and take your time about it, please?') };
  const whole = await client.messages.create(asked);
  const stream = client.messages.stream(asked);
  const pieces = [];
  stream.on('text', (delta) => pieces.push(delta));
  const final = await stream.finalMessage();
  assert.ok(pieces.length > 3, 'an answer in one piece is no stream');
  assert.equal(pieces.join(''), said(whole));
  assert.deepEqual(final.content, whole.content);
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  const types = [];
  for await (const event of await client.messages.create({ ...asked, stream: true })) types.push(event.type);
  assert.equal(types[0], 'message_start');
  assert.equal(types.at(-1), 'message_stop');
});

test('thoughts come in blocks of their own', async () => {
  const asked = { model: 'gemini-2.5-pro', max_tokens: 3000, thinking: { type: 'enabled', budget_tokens: 1500 }, messages: ask('Think.') };
  const whole = await client.messages.create(asked);
  assert.equal(whole.content[0].type, 'thinking');
  const streamed = await client.messages.stream(asked).finalMessage();
  assert.deepEqual(streamed.content, whole.content);
});

test('parsing', async () => {
  const City = z.object({ name: z.string(), inhabitants: z.number() });
  const asked = { model: MODEL, max_tokens: 500, messages: ask('A city?'), output_config: { format: zodOutputFormat(City) } };
  const message = await client.messages.parse(asked);
  City.parse(message.parsed_output);
});

const WEATHER = { name: 'get_weather', description: 'The weather.', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };

for (const model of MODELS) {
  test(`tools by hand, ${model}`, async () => {
    const messages = ask('Please call get_weather for me.');
    const first = await client.messages.stream({ model, max_tokens: 500, messages, tools: [WEATHER] }).finalMessage();
    assert.equal(first.stop_reason, 'tool_use');
    const call = first.content.find((block) => block.type === 'tool_use');
    assert.deepEqual([call.name, call.input], ['get_weather', { city: 'Paris' }]);
    messages.push({ role: 'assistant', content: first.content });
    messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '21 degrees' }] });
    const second = await client.messages.create({ model, max_tokens: 500, messages, tools: [WEATHER] });
    assert.match(said(second), /21 degrees/);
  });

  for (const stream of [false, true]) {
    test(`an agent of twenty steps with two calls each, ${model}, ${stream ? 'streamed' : 'whole'}`, async () => {
      const seen = [];
      const run = (name) => ({ path }) => {
        seen.push(`${name} ${path}`);
        return [{ type: 'text', text: `content of ${path}` }];
      };
      const runner = client.beta.messages.toolRunner({
        model,
        stream,
        max_tokens: 1000,
        max_iterations: 30,
        messages: ask('@loop 20 read {"path": "a{n}"} | list {"path": "b{n}"}'),
        tools: [
          betaZodTool({ name: 'read', description: 'Reads.', inputSchema: z.object({ path: z.string() }), run: run('read') }),
          betaTool({
            name: 'list',
            description: 'Lists.',
            inputSchema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
            run: run('list'),
          }),
        ],
      });
      assert.equal(said(await runner.runUntilDone()), 'The loop is over: 20 steps, 40 results.');
      assert.deepEqual([...seen].sort(), Array.from({ length: 20 }, (_, n) => [`read a${n}`, `list b${n}`]).flat().sort());
    });
  }
}

test('choices of tools', async () => {
  const asked = { model: MODEL, max_tokens: 500, tools: [WEATHER] };
  for (const tool_choice of [{ type: 'any' }, { type: 'tool', name: 'get_weather' }]) {
    const message = await client.messages.create({ ...asked, messages: ask('Hello.'), tool_choice });
    assert.equal(message.stop_reason, 'tool_use');
  }
  const none = await client.messages.create({ ...asked, messages: ask('Call get_weather.'), tool_choice: { type: 'none' } });
  assert.equal(none.stop_reason, 'end_turn');
});

test('a picture and a document go in', async () => {
  const source = { type: 'base64', media_type: 'image/png', data: PNG.toString('base64') };
  const message = await client.messages.create({
    model: MODEL,
    max_tokens: 500,
    messages: [{ role: 'user', content: [{ type: 'image', source }, { type: 'text', text: 'What is this?' }] }],
  });
  assert.match(said(message), new RegExp(`image/png, ${PNG.length} bytes`));
});

test('tokens are counted', async () => {
  const counted = await client.messages.countTokens({ model: MODEL, messages: ask('Count me.'), tools: [WEATHER] });
  assert.ok(counted.input_tokens > 0);
});

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
  assert.equal((await client.models.retrieve(MODEL)).type, 'model');
});

test('errors are those of the SDK, and say the way out', async () => {
  const asked = { model: MODEL, max_tokens: 10, messages: ask('Hi.') };
  const stranger = new Anthropic({ baseURL: world.address, apiKey: 'sk-wrong', maxRetries: 0 });
  await assert.rejects(stranger.messages.create(asked), Anthropic.AuthenticationError);
  await assert.rejects(client.messages.create({ ...asked, model: 'gemini-0' }), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...asked, messages: [] }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.equal(error.error.error.type, 'invalid_request_error');
    assert.match(error.message, /at least one message/);
    return true;
  });
});
