// The official `openai` package for JavaScript against the real server: chat and Responses, whole
// and streamed, and its helpers for streams, parsing and running tools.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { ResponsesToolRunner } from 'openai/helpers/responses-tool-runner';
import { z } from 'zod';
import { MODEL, MODELS, PNG, openWorld } from './world.mjs';

let world;
let client;
before(async () => {
  world = await openWorld();
  client = new OpenAI({ baseURL: `${world.address}/v1`, apiKey: world.token, maxRetries: 0 });
});
after(() => world?.close());

const ask = (text) => [{ role: 'user', content: text }];
const WEATHER = z.object({ city: z.string(), unit: z.enum(['celsius', 'fahrenheit']) });
const DECLARED = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

test('chat', async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages: ask('Good day!'), seed: 7, stop: ['#'] });
  const [choice] = answer.choices;
  assert.equal(choice.finish_reason, 'stop');
  assert.match(choice.message.content, /Good day!/);
  assert.equal(answer.model, MODEL);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test('a stream says what the whole answer says', async () => {
  const asked = { model: MODEL, messages: ask('Twice the same, and take your time about it, please?') };
  const whole = await client.chat.completions.create(asked);
  const stream = await client.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } });
  let text = '';
  let pieces = 0;
  let usage;
  for await (const chunk of stream) {
    pieces += 1;
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.ok(pieces > 3, 'an answer in one piece is no stream');
  assert.deepEqual(usage, whole.usage);
});

test('the helper for streams', async () => {
  const stream = client.chat.completions.stream({ model: MODEL, messages: ask('Stream this.') });
  const heard = [];
  stream.on('content', (delta) => heard.push(delta));
  const final = await stream.finalChatCompletion();
  assert.equal(heard.join(''), final.choices[0].message.content);
  assert.equal(await stream.finalContent(), final.choices[0].message.content);
});

test('parsing', async () => {
  const City = z.object({ name: z.string(), inhabitants: z.number().int(), twin: z.string().nullable() });
  const asked = { model: MODEL, messages: ask('A city?'), response_format: zodResponseFormat(City, 'city') };
  const whole = await client.chat.completions.parse(asked);
  City.parse(whole.choices[0].message.parsed);
  const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, whole.choices[0].message.parsed);
});

for (const model of MODELS) {
  for (const stream of [false, true]) {
    test(`running tools, ${model}, ${stream ? 'streamed' : 'whole'}`, async () => {
      const seen = [];
      const runner = client.chat.completions.runTools({
        model,
        stream,
        messages: ask('Please call get_weather for me.'),
        tools: [
          zodFunction({
            name: 'get_weather',
            parameters: WEATHER,
            function: (args) => {
              seen.push(args);
              return { degrees: 21 };
            },
          }),
        ],
      });
      assert.match(await runner.finalContent(), /get_weather answered .*21/);
      assert.deepEqual(seen, [{ city: 'Paris', unit: 'celsius' }]);
    });
  }
}

test('an agent of twenty steps with two calls each', async () => {
  const seen = [];
  const tool = (name) => ({
    type: 'function',
    function: {
      name,
      parse: JSON.parse,
      parameters: { type: 'object', properties: { path: { type: 'string' } } },
      function: (args) => {
        seen.push(`${name} ${args.path}`);
        return `content of ${args.path}`;
      },
    },
  });
  for (const stream of [false, true]) {
    seen.length = 0;
    const runner = client.chat.completions.runTools(
      {
        model: 'gemini-3.5-flash',
        stream,
        messages: ask('@loop 20 read {"path": "a{n}"} | list {"path": "b{n}"}'),
        tools: [tool('read'), tool('list')],
      },
      { maxChatCompletions: 30 },
    );
    assert.equal(await runner.finalContent(), 'The loop is over: 20 steps, 40 results.');
    assert.deepEqual(seen, Array.from({ length: 20 }, (_, n) => [`read a${n}`, `list b${n}`]).flat());
  }
});

test('a forced tool, none, and one by name', async () => {
  const tools = [DECLARED];
  const messages = ask('How are you?');
  for (const tool_choice of ['required', { type: 'function', function: { name: 'get_weather' } }]) {
    const answer = await client.chat.completions.create({ model: MODEL, messages, tools, tool_choice });
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
    assert.equal(answer.choices[0].message.tool_calls[0].function.name, 'get_weather');
  }
  const none = await client.chat.completions.create({
    model: MODEL,
    messages: ask('Please call get_weather.'),
    tools,
    tool_choice: 'none',
  });
  assert.equal(none.choices[0].finish_reason, 'stop');
});

test('a picture goes in', async () => {
  const content = [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG.toString('base64')}` } },
  ];
  const answer = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content }] });
  assert.match(answer.choices[0].message.content, new RegExp(`image/png, ${PNG.length} bytes`));
});

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
});

test('embeddings', async () => {
  const answer = await client.embeddings.create({ model: 'gemini-embedding-001', input: ['one', 'two'], dimensions: 16 });
  assert.deepEqual(answer.data.map((one) => one.embedding.length), [16, 16]);
});

// --- the Responses API ---

test('a response, whole and streamed', async () => {
  const asked = { model: MODEL, instructions: 'Be brief.', input: 'Twice the same?' };
  const whole = await client.responses.create(asked);
  assert.equal(whole.status, 'completed');
  assert.match(whole.output_text, /Twice the same\?/);
  const types = [];
  let last;
  for await (const event of await client.responses.create({ ...asked, stream: true })) {
    assert.equal(event.sequence_number, types.length);
    types.push(event.type);
    last = event;
  }
  assert.equal(types[0], 'response.created');
  assert.equal(last.type, 'response.completed');
  const final = await client.responses.stream(asked).finalResponse();
  assert.equal(final.output_text, whole.output_text);
});

test('a response, parsed', async () => {
  const City = z.object({ name: z.string(), inhabitants: z.number().int() });
  const asked = { model: MODEL, input: 'A city?', text: { format: zodTextFormat(City, 'city') } };
  const whole = await client.responses.parse(asked);
  City.parse(whole.output_parsed);
  const streamed = await client.responses.stream(asked).finalResponse();
  assert.deepEqual(streamed.output_parsed, whole.output_parsed);
});

for (const stream of [false, true]) {
  test(`running tools of the Responses API, ${stream ? 'streamed' : 'whole'}`, async () => {
    const seen = [];
    const declared = (name) => ({
      tool: {
        type: 'function',
        name,
        strict: true,
        parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'], additionalProperties: false },
      },
      execute: ({ path }) => {
        seen.push(`${name} ${path}`);
        return `content of ${path}`;
      },
    });
    const runner = new ResponsesToolRunner({ functions: [declared('read'), declared('list')] });
    const input = '@loop 12 read {"path": "a{n}"} | list {"path": "b{n}"}';
    const final = await runner.run(client, { model: 'gemini-3.5-flash', input }, { stream, maxSteps: 20 });
    assert.equal(final.output_text, 'The loop is over: 12 steps, 24 results.');
    assert.equal(seen.length, 24);
  });
}

test('a response goes on from another, and both can be looked up', async () => {
  const first = await client.responses.create({ model: MODEL, input: 'My name is Ada.' });
  const second = await client.responses.create({ model: MODEL, input: 'And what is it?', previous_response_id: first.id });
  assert.equal(second.previous_response_id, first.id);
  assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
  const items = [];
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
  assert.equal(items[0].content[0].text, 'My name is Ada.');
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
});

// --- errors ---

test('errors are those of the SDK, and say the way out', async () => {
  const stranger = new OpenAI({ baseURL: `${world.address}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  const messages = ask('Hi.');
  await assert.rejects(client.chat.completions.create({ model: 'gemini-0', messages }), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model: 'gemini-0', input: 'Hi', stream: true }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages: [] }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'messages');
    assert.match(error.message, /at least one message/);
    assert.ok(error.requestID, 'the request has an id');
    return true;
  });
});

test('a stream can be left', async () => {
  const stream = await client.chat.completions.create({ model: MODEL, messages: ask('A long one.'), stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  // The next call is answered all the same.
  const next = await client.chat.completions.create({ model: MODEL, messages: ask('Next.') });
  assert.match(next.choices[0].message.content, /Next\./);
});
