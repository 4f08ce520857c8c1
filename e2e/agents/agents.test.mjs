// Coding agents as their vendors ship them, headless, on the real server: each works through a
// loop of twenty steps with two parallel calls, which the fake Google plays (`@loop`). What the
// agent ran in fact is told by the files that it read: the fake counts the results, and refuses a
// history in which a call, a result or a thought signature is missing.
//
// Nothing leaves this machine: whatever is asked of another address meets a proxy that is not there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { TOKEN } from '../programs.mjs';
import { openWorld } from '../sdk/world.mjs';

const STEPS = 20;
const MODEL = 'gemini-3.5-flash';
const DONE = `The loop is over: ${STEPS} steps, ${2 * STEPS} results.`;
// Until an agent is taken to hang. It needs a few seconds; others may be compiling.
const PATIENCE = 240_000;

const require = createRequire(import.meta.url);
const folder = (name) => dirname(require.resolve(`${name}/package.json`));

let world;
let home;
let work;
before(async () => {
  world = await openWorld();
  // Not below /tmp, where Codex refuses to have its own files.
  const cache = join(homedir(), '.cache');
  await mkdir(cache, { recursive: true });
  home = await mkdtemp(join(cache, 'gemini-balance-agents-'));
  work = join(home, 'work');
  await mkdir(work);
  for (let n = 0; n < STEPS; n += 1) {
    await writeFile(join(work, `a${n}.txt`), `alpha ${n}\n`);
    await writeFile(join(work, `b${n}.txt`), `beta ${n}\n`);
  }
});
after(async () => {
  await world?.close();
  await rm(home, { recursive: true, force: true });
});

// Runs an agent to its end; what it wrote to its standard output.
async function run(program, args, environment) {
  const nowhere = 'http://127.0.0.1:9';
  const child = spawn(program, args, {
    cwd: work,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      LANG: 'C.UTF-8',
      TERM: 'dumb',
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      NO_PROXY: '127.0.0.1,localhost',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out = [];
  const err = [];
  child.stdout.on('data', (piece) => out.push(piece));
  child.stderr.on('data', (piece) => err.push(piece));
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
  clearTimeout(timer);
  const said = Buffer.concat(out).toString();
  assert.equal(code, 0, `it ended with ${code}:\n${said}\n${Buffer.concat(err)}`);
  return said;
}

// What the model is to do: two calls in each step, of this tool with these arguments.
const loop = (tool, args) => {
  const call = (letter) => `${tool} ${JSON.stringify(args(`${letter}{n}.txt`))}`;
  return `@loop ${STEPS} ${call('a')} | ${call('b')}`;
};

test('Claude Code', async () => {
  const binary = join(folder(`@anthropic-ai/claude-code-${process.platform}-${process.arch}`), 'claude');
  const prompt = loop('Read', (file) => ({ file_path: join(work, file) }));
  const said = await run(binary, ['-p', prompt, '--model', MODEL, '--output-format', 'stream-json', '--verbose'], {
    ANTHROPIC_BASE_URL: world.address,
    ANTHROPIC_AUTH_TOKEN: TOKEN,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
  });
  const events = said.trim().split('\n').map((line) => JSON.parse(line));
  const result = events.find((event) => event.type === 'result');
  assert.equal(result.result, DONE);
  assert.equal(result.is_error, false);
  const blocks = events.flatMap((event) => event.message?.content ?? []);
  const results = blocks.filter((block) => block.type === 'tool_result');
  assert.equal(results.length, 2 * STEPS);
  assert.ok(results.every((block) => !block.is_error), JSON.stringify(results.find((block) => block.is_error)));
  const read = JSON.stringify(results);
  for (let n = 0; n < STEPS; n += 1) assert.ok(read.includes(`alpha ${n}\\n`) || read.includes(`alpha ${n}`), `a${n}`);
});

test('Codex', async () => {
  const provider = `{name="Gemini Balance",base_url="${world.address}/v1",wire_api="responses",env_key="GB_TOKEN"}`;
  const prompt = loop('exec_command', (file) => ({ cmd: `cat ${file}` }));
  const said = await run(
    process.execPath,
    [
      join(folder('@openai/codex'), 'bin/codex.js'),
      'exec',
      '--json',
      '--skip-git-repo-check',
      '--dangerously-bypass-approvals-and-sandbox',
      ...['-m', MODEL],
      ...['-c', 'model_provider="gb"'],
      ...['-c', `model_providers.gb=${provider}`],
      prompt,
    ],
    { GB_TOKEN: TOKEN },
  );
  const events = said.trim().split('\n').map((line) => JSON.parse(line));
  const items = events.filter((event) => event.type === 'item.completed').map((event) => event.item);
  assert.equal(items.findLast((item) => item.type === 'agent_message').text, DONE);
  const ran = items.filter((item) => item.type === 'command_execution');
  assert.equal(ran.length, 2 * STEPS);
  const printed = ran.map((item) => item.aggregated_output.trim()).sort();
  assert.deepEqual(printed, Array.from({ length: STEPS }, (_, n) => [`alpha ${n}`, `beta ${n}`]).flat().sort());
});

test('Gemini CLI', async () => {
  const settings = join(home, '.gemini');
  await mkdir(settings, { recursive: true });
  await writeFile(
    join(settings, 'settings.json'),
    JSON.stringify({
      security: { auth: { selectedType: 'gemini-api-key' } },
      privacy: { usageStatisticsEnabled: false },
      general: { disableAutoUpdate: true },
    }),
  );
  const prompt = loop('read_file', (file) => ({ file_path: join(work, file) }));
  const said = await run(
    process.execPath,
    [join(folder('@google/gemini-cli'), 'bundle/gemini.js'), '-p', prompt, '-m', MODEL, '--yolo', '--output-format', 'json'],
    {
      GEMINI_API_KEY: TOKEN,
      GOOGLE_GEMINI_BASE_URL: world.address,
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
    },
  );
  const result = JSON.parse(said.slice(said.indexOf('{')));
  assert.equal(result.response, DONE);
  assert.equal(result.stats.tools.totalCalls, 2 * STEPS);
  assert.equal(result.stats.tools.totalFail, 0);
});
