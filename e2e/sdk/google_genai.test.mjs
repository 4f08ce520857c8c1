// The official `@google/genai` for JavaScript against the real server: on the version of the API
// that it takes when it is told nothing, and on the one that most programs ask for.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError, FinishReason, FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai';
import { MODEL, MODELS, PNG, openWorld } from './world.mjs';

let world;
before(async () => {
  world = await openWorld();
});
after(() => world?.close());

const WEATHER = {
  functionDeclarations: [
    {
      name: 'get_weather',
      description: 'The weather in a city.',
      parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
    },
  ],
};

for (const apiVersion of [undefined, 'v1beta']) {
  const on = apiVersion ?? 'the default version';
  const connect = (apiKey = world.token) => {
    const httpOptions = { baseUrl: world.address, ...(apiVersion && { apiVersion }) };
    return new GoogleGenAI({ apiKey, httpOptions }).models;
  };

  test(`an answer, whole and streamed, on ${on}`, async () => {
    const models = connect();
    const asked = { model: MODEL, contents: 'Twice the same, and take your time about it?', config: { temperature: 0.3, systemInstruction: 'Be brief.' } };
    const whole = await models.generateContent(asked);
    assert.match(whole.text, /Twice the same/);
    assert.equal(whole.candidates[0].finishReason, FinishReason.STOP);
    let text = '';
    let pieces = 0;
    let last;
    for await (const piece of await models.generateContentStream(asked)) {
      text += piece.text ?? '';
      pieces += 1;
      last = piece;
    }
    assert.equal(text, whole.text);
    assert.ok(pieces > 1, 'an answer in one piece is no stream');
    assert.equal(last.candidates[0].finishReason, FinishReason.STOP);
    assert.equal(last.usageMetadata.totalTokenCount, whole.usageMetadata.totalTokenCount);
  });

  test(`thoughts, a picture, JSON, on ${on}`, async () => {
    const models = connect();
    const thought = await models.generateContent({ model: MODEL, contents: 'Think.', config: { thinkingConfig: { includeThoughts: true } } });
    assert.ok(thought.candidates[0].content.parts.some((part) => part.thought));
    const seen = await models.generateContent({
      model: MODEL,
      contents: [{ inlineData: { mimeType: 'image/png', data: PNG.toString('base64') } }, { text: 'What is this?' }],
    });
    assert.match(seen.text, new RegExp(`image/png, ${PNG.length} bytes`));
    const parsed = await models.generateContent({
      model: MODEL,
      contents: 'A city?',
      config: {
        responseMimeType: 'application/json',
        responseSchema: { type: Type.OBJECT, properties: { name: { type: Type.STRING } }, required: ['name'] },
      },
    });
    assert.equal(typeof JSON.parse(parsed.text).name, 'string');
  });

  for (const model of MODELS) {
    test(`tools by hand, ${model}, on ${on}`, async () => {
      const models = connect();
      const contents = [{ role: 'user', parts: [{ text: 'Please call get_weather for me.' }] }];
      const config = { tools: [WEATHER], toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.AUTO } } };
      const first = await models.generateContent({ model, contents, config });
      const [call] = first.functionCalls;
      assert.deepEqual([call.name, call.args], ['get_weather', { city: 'Paris' }]);
      contents.push(first.candidates[0].content);
      contents.push({ role: 'user', parts: [{ functionResponse: { id: call.id, name: call.name, response: { degrees: 21 } } }] });
      const second = await models.generateContent({ model, contents, config });
      assert.match(second.text, /21/);
    });
  }

  const LOOP = '@loop 20 read {"path": "a{n}"} | list {"path": "b{n}"}';
  const ASKED = Array.from({ length: 20 }, (_, n) => [`read a${n}`, `list b${n}`]).flat();
  const declared = (name) => ({ name, parametersJsonSchema: { type: 'object', properties: { path: { type: 'string' } } } });
  const functionDeclarations = [declared('read'), declared('list')];
  const answered = (seen, { id, name, args }) => {
    seen.push(`${name} ${args.path}`);
    return { functionResponse: { id, name, response: { output: `content of ${args.path}` } } };
  };

  test(`an agent of twenty steps that the SDK runs, on ${on}`, async () => {
    const seen = [];
    const callable = {
      tool: async () => ({ functionDeclarations }),
      callTool: async (calls) => calls.map((call) => answered(seen, call)),
    };
    const config = { tools: [callable], automaticFunctionCalling: { maximumRemoteCalls: 30 } };
    const answer = await connect().generateContent({ model: 'gemini-3.5-flash', contents: LOOP, config });
    assert.equal(answer.text, 'The loop is over: 20 steps, 40 results.');
    assert.deepEqual(seen, ASKED);
  });

  // The SDK's own loop sends each event of a stream back as a turn of its own, which Google refuses
  // where a call follows; programs that stream put the events together.
  test(`an agent of twenty steps, streamed, on ${on}`, async () => {
    const models = connect();
    const seen = [];
    const contents = [{ role: 'user', parts: [{ text: LOOP }] }];
    const config = { tools: [{ functionDeclarations }], thinkingConfig: { includeThoughts: true } };
    for (;;) {
      const parts = [];
      for await (const piece of await models.generateContentStream({ model: 'gemini-3.5-flash', contents, config })) {
        parts.push(...(piece.candidates?.[0]?.content?.parts ?? []));
      }
      const calls = parts.map((part) => part.functionCall).filter(Boolean);
      if (calls.length === 0) {
        const said = parts.filter((part) => !part.thought).map((part) => part.text ?? '');
        assert.equal(said.join(''), 'The loop is over: 20 steps, 40 results.');
        break;
      }
      contents.push({ role: 'model', parts });
      contents.push({ role: 'user', parts: calls.map((call) => answered(seen, call)) });
    }
    assert.deepEqual(seen, ASKED);
  });

  test(`models, tokens and embeddings on ${on}`, async () => {
    const models = connect();
    const names = [];
    for await (const model of await models.list()) names.push(model.name);
    assert.ok(names.includes(`models/${MODEL}`));
    assert.equal((await models.get({ model: MODEL })).name, `models/${MODEL}`);
    assert.ok((await models.countTokens({ model: MODEL, contents: 'Count me.' })).totalTokens > 0);
    const embedded = await models.embedContent({
      model: 'gemini-embedding-001',
      contents: ['one', 'two'],
      config: { outputDimensionality: 16 },
    });
    assert.deepEqual(embedded.embeddings.map((one) => one.values.length), [16, 16]);
  });

  test(`errors on ${on}`, async () => {
    const status = (expected) => (error) => error instanceof ApiError && error.status === expected;
    await assert.rejects(connect('sk-wrong').generateContent({ model: MODEL, contents: 'Hi' }), status(401));
    await assert.rejects(connect().generateContent({ model: 'gemini-0', contents: 'Hi' }), status(404));
    await assert.rejects(connect().generateContentStream({ model: 'gemini-0', contents: 'Hi' }), status(404));
    await assert.rejects(connect().generateContent({ model: MODEL, contents: 'Hi', config: { temperature: 9 } }), status(400));
  });
}

test('a chat keeps its history', async () => {
  const client = new GoogleGenAI({ apiKey: world.token, httpOptions: { baseUrl: world.address } });
  const chat = client.chats.create({ model: MODEL });
  await chat.sendMessage({ message: 'First.' });
  let text = '';
  for await (const piece of await chat.sendMessageStream({ message: 'Second.' })) text += piece.text ?? '';
  assert.match(text, /Second\./);
  // The SDK keeps each event of a stream as a turn of its own.
  const roles = chat.getHistory().map((content) => content.role);
  assert.deepEqual(roles.slice(0, 4), ['user', 'model', 'user', 'model']);
  assert.match((await chat.sendMessage({ message: 'Third.' })).text, /Third\./);
});

for (const apiVersion of [undefined, 'v1beta']) {
  const on = apiVersion ?? 'the default version';
  const connect = () => {
    const httpOptions = { baseUrl: world.address, ...(apiVersion && { apiVersion }) };
    return new GoogleGenAI({ apiKey: world.token, httpOptions });
  };

  test(`a file is uploaded, used and deleted on ${on}`, async () => {
    const client = connect();
    const blob = new Blob(['Keys have quotas. '.repeat(1000)], { type: 'text/plain' });
    const file = await client.files.upload({ file: blob, config: { displayName: 'notes' } });
    assert.equal(Number(file.sizeBytes), blob.size);
    for (let round = 0; round < 4; round += 1) {
      const parts = [{ text: 'What do the notes say?' }, { fileData: { fileUri: file.uri, mimeType: file.mimeType } }];
      const answer = await client.models.generateContent({ model: MODEL, contents: [{ role: 'user', parts }] });
      assert.ok(answer.text);
    }
    const names = async () => {
      const all = [];
      for await (const listed of await client.files.list({ config: { pageSize: 1 } })) all.push(listed.name);
      return all;
    };
    assert.ok((await names()).includes(file.name));
    await client.files.delete({ name: file.name });
    assert.ok(!(await names()).includes(file.name));
  });

  test(`a cache is used with the key that has it on ${on}`, async () => {
    const client = connect();
    const contents = [{ role: 'user', parts: [{ text: 'Keys have quotas. '.repeat(2000) }] }];
    const cache = await client.caches.create({ model: MODEL, config: { contents, ttl: '600s' } });
    for (let round = 0; round < 3; round += 1) {
      const asked = { model: MODEL, contents: 'What was that?', config: { cachedContent: cache.name } };
      const answer = await client.models.generateContent(asked);
      assert.ok(answer.usageMetadata.cachedContentTokenCount > 1024);
    }
    await client.caches.delete({ name: cache.name });
    await assert.rejects(client.caches.get({ name: cache.name }), ApiError);
  });

  test(`a session of the Live API on ${on}`, { timeout: 60_000 }, async () => {
    const client = connect();
    const heard = [];
    let over;
    const turn = new Promise((resolve) => { over = resolve; });
    const session = await client.live.connect({
      model: 'gemini-3.1-flash-live-preview',
      config: { responseModalities: ['TEXT'] },
      callbacks: {
        onmessage: (message) => {
          heard.push(message.text ?? '');
          if (message.serverContent?.turnComplete) over('complete');
        },
        onclose: (event) => over(`closed: ${event.reason}`),
      },
    });
    session.sendClientContent({ turns: [{ role: 'user', parts: [{ text: 'Are you there?' }] }] });
    assert.equal(await turn, 'complete');
    assert.match(heard.join(''), /Are you there/);
    session.close();
  });
}
