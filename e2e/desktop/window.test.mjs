// The real window of the app, as its user sees it: a display, a keychain, a driver.

import assert from "node:assert/strict";
import { createServer as createWebServer } from "node:http";
import { createServer } from "node:net";
import { test } from "node:test";

import { World, freePort, program, until } from "./world.mjs";

// Of the shape of Google's keys, known to the fake Google only.
const KEY = "AIzaSyDesktopWindowTest0000000000000042";
const MODEL = "gemini-2.5-flash";

// Runs `body` on a computer of its own, and ends that computer whatever happens.
function onComputer(title, options, body) {
  test(title, { timeout: 300_000 }, async () => {
    const world = await World.begin(options);
    try {
      await body(world);
    } finally {
      await world.end();
    }
  });
}

async function running(window) {
  await window.until("the proxy runs", async () => (await window.attribute("proxy-bar", "data-state")) === "running");
  return await window.text("proxy-address");
}

// The app's own token, taken as its user takes it: copied, and pasted somewhere.
async function pastedToken(window) {
  await window.click("nav-connect");
  await window.click("token-copy-own");
  await window.reads("token-copy-own", (text) => /copied/i.test(text));
  await window.click("nav-keys");
  await window.click("key-paste");
  return await window.until("a token was pasted", async () => {
    await window.control("v");
    const text = await window.script("return document.querySelector('[data-testid=key-paste]').value");
    await window.clear("key-paste");
    return text;
  });
}

async function generate(address, token) {
  const answer = await fetch(`${address}/v1beta/models/${MODEL}:generateContent`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-goog-api-key": token },
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Say hello" }] }] }),
  });
  const body = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(body));
  assert.ok(body.candidates[0].content.parts[0].text.length > 0, JSON.stringify(body));
}

async function lieInClear(world, secrets) {
  // What the webview keeps is there too.
  const files = await world.files();
  assert.ok(files.some(([path]) => path.endsWith("gemini-balance.db")), "the database is in the data folder");
  for (const secret of secrets) {
    for (const form of [secret, Buffer.from(secret).toString("base64"), Buffer.from(secret, "utf16le")]) {
      for (const [path, bytes] of files) {
        assert.ok(!bytes.includes(form), `${path} holds ${secret.slice(0, 4)}… in clear`);
      }
    }
  }
}

onComputer("a key added in the window answers, is there after a restart, and lies nowhere in clear", {}, async (world) => {
  const google = await world.google(KEY);
  const variables = { BASE_URL: `${google}/v1beta`, PORT: String(await freePort()) };

  let window = await world.open(variables);
  const address = await running(window);
  assert.equal(address, `http://127.0.0.1:${variables.PORT}`);
  await window.picture("first-start");
  await window.click("nav-keys");
  await window.type("key-paste", KEY);
  await window.click("key-add");
  await window.see("key-row-1");
  await window.picture("keys");
  const page = await window.script("return document.documentElement.outerHTML + [...document.querySelectorAll('input,textarea')].map((e) => e.value)");
  assert.ok(!page.includes(KEY), "the window still holds the key after it was added");

  await window.click("proxy-stop");
  await window.see("proxy-start");
  await window.picture("stopped");
  await assert.rejects(fetch(address), "the stopped proxy still listens");
  await window.click("proxy-start");
  assert.equal(await running(window), address);

  const token = await pastedToken(window);
  assert.match(token, /^sk-.{20,}$/, "the app's token is on the clipboard");
  await generate(address, token);
  await window.quit();
  await assert.rejects(fetch(address), "the proxy lives on after the app has quit");
  await lieInClear(world, [KEY, token]);

  window = await world.open(variables);
  assert.equal(await running(window), address);
  await window.click("nav-keys");
  const row = await window.text("key-row-1");
  assert.ok(row.includes(KEY.slice(0, 4)) && row.includes(KEY.slice(-4)) && !row.includes(KEY), row);
  await generate(address, token);
  await window.picture("second-start");
  await window.quit();
  await lieInClear(world, [KEY, token]);
});

onComputer("an instance goes online from the window, in Chinese, and its secrets lie nowhere in clear", {}, async (world) => {
  const google = await world.google(KEY);
  const clouds = await world.clouds(google);
  const variables = { BASE_URL: `${google}/v1beta`, PORT: String(await freePort()) };
  const window = await world.open(variables);
  await running(window);
  await window.click("lang-switch");
  await window.reads("nav-keys", (text) => text.includes("密钥"));
  await window.click("nav-keys");
  await window.type("key-paste", KEY);
  await window.click("key-add");
  await window.see("key-row-1");

  await window.click("nav-deploy");
  await window.click("choose-koyeb");
  await window.clear("deploy-name");
  await window.type("deploy-name", "from-window");
  await window.click("account-more");
  await window.type("account-api", clouds.koyeb);
  await window.type("account-secret", clouds["koyeb-key"]);
  await window.click("account-add");
  await window.reads("account-works", (text) => text.includes("账号可用"));
  await window.picture("wizard-account");
  await window.click("wizard-next");
  await window.click("data-none");
  await window.click("wizard-next");
  await window.click("image-which-other");
  await window.clear("image-name");
  await window.type("image-name", clouds.image);
  await window.click("wizard-next");
  await window.reads("plan-cost", (text) => text.includes("不收费"));
  await window.picture("wizard-plan");
  await window.click("plan-apply");
  await window.until(
    "everything is done",
    async () => (await window.attribute("run-progress", "data-state")) === "done",
  );
  await window.picture("wizard-run");
  await window.click("run-done");
  await window.reads("deploy-done", (text) => text.includes("from-window 已上线"));
  await window.picture("wizard-done");
  const url = await window.value("done-url");
  assert.equal((await fetch(`${url}/health`)).status, 200);

  await window.click("nav-instances");
  await window.until(
    "it is seen to run",
    async () => (await window.script("return document.body.innerText")).includes("运行中"),
  );
  await window.quit();
  // It lives on without this computer, and the key of the cloud is sealed.
  assert.equal((await fetch(`${url}/health`)).status, 200);
  await lieInClear(world, [KEY, clouds["koyeb-key"]]);
});

onComputer("without a keychain the window says so, and a passphrase is the user's choice", { keychain: false }, async (world) => {
  const passphrase = "correct horse battery";
  const variables = { BASE_URL: "http://127.0.0.1:9/v1beta", PORT: String(await freePort()) };

  let window = await world.open(variables);
  const told = await window.text("vault-closed");
  assert.match(told, /keychain/i);
  assert.match(told, /GNOME Keyring|Secret Service/);
  await window.picture("keychain-missing");
  assert.deepEqual((await world.files()).filter(([path]) => /vault\.json|gemini-balance\.db/.test(path)), [], "nothing is sealed yet");
  await window.type("vault-passphrase", passphrase);
  await window.type("vault-passphrase2", passphrase);
  await window.click("vault-unlock");
  await running(window);
  await window.quit();
  await lieInClear(world, [passphrase]);

  window = await world.open(variables);
  await window.see("vault-closed");
  await window.picture("passphrase-needed");
  await window.type("vault-passphrase", "wrong horse battery");
  await window.click("vault-unlock");
  await window.reads("vault-closed", (text) => /does not open/i.test(text));
  await window.picture("passphrase-wrong");
  await window.clear("vault-passphrase");
  await window.type("vault-passphrase", passphrase);
  await window.click("vault-unlock");
  await running(window);
  await window.quit();
});

onComputer("a locked keychain is told apart from a missing one, and opens no second way in", {}, async (world) => {
  const variables = { BASE_URL: "http://127.0.0.1:9/v1beta", PORT: String(await freePort()) };
  let window = await world.open(variables);
  await running(window);
  await window.quit();

  await world.lock();
  window = await world.open(variables);
  const told = await window.text("vault-closed");
  assert.match(told, /locked/i);
  assert.doesNotMatch(told, /new passphrase/i, "data is sealed, so a passphrase is of no use");
  await window.picture("keychain-locked");
  await window.click("vault-retry");
  await window.reads("vault-closed", (text) => /locked/i.test(text));
  await window.quit();
});

onComputer("a taken port is named with its owner, and the next one is used and remembered", {}, async (world) => {
  const other = createServer();
  await new Promise((done) => other.listen(0, "127.0.0.1", done));
  try {
    const { port } = other.address();
    const variables = { BASE_URL: "http://127.0.0.1:9/v1beta", PORT: String(port) };
    let window = await world.open(variables);
    const told = await window.text("port-taken");
    assert.ok(told.includes(String(port)), told);
    assert.ok(told.includes(String(process.pid)), `the owner is this test, ${process.pid}: ${told}`);
    await window.picture("port-taken");
    await window.click("proxy-use-port");
    const address = await running(window);
    assert.notEqual(address, `http://127.0.0.1:${port}`);
    assert.ok((await fetch(`${address}/health`)).ok);
    await window.quit();

    window = await world.open(variables);
    assert.equal(await running(window), address);
    // The other program has ended, and its port is wanted back.
    await new Promise((done) => other.close(done));
    await window.click("proxy-stop");
    await window.click("proxy-port-other");
    await window.type("proxy-port", String(port));
    await window.picture("other-port");
    await window.click("proxy-port-use");
    assert.equal(await running(window), `http://127.0.0.1:${port}`);
    await window.quit();
  } finally {
    other.close();
  }
});

onComputer("the page can call our commands and nothing else", {}, async (world) => {
  const window = await world.open({ BASE_URL: "http://127.0.0.1:9/v1beta", PORT: String(await freePort()) });
  const address = await running(window);
  assert.equal((await window.invoke("desktop_state")).ok.proxy.state, "running");
  for (const [command, args] of [
    ["plugin:window|close", {}],
    ["plugin:webview|create_webview_window", { options: { label: "other", url: "https://example.com" } }],
    ["plugin:opener|open_url", { url: "https://example.com" }],
    ["plugin:event|emit", { event: "desktop-state", payload: {} }],
    ["plugin:path|resolve_directory", { directory: 1 }],
    ["plugin:app|version", {}],
  ]) {
    const answer = await window.invoke(command, args);
    assert.match(String(answer.error), /not allowed|not found/, `${command}: ${JSON.stringify(answer)}`);
  }
  const made = await window.invoke("admin_call", {
    call: { method: "POST", path: "/api/tokens", body: { name: "x" } },
  });
  assert.equal(made.error.code, "invalid_input");

  assert.equal(await window.script("return typeof window.__TAURI__"), "undefined");
  const reached = await window.later(
    "fetch(args[0], { mode: 'no-cors' }).then(() => done('reached'), (error) => done('refused'))",
    `${address}/health`,
  );
  assert.equal(reached, "refused", "the content security policy lets the page out");
  await window.quit();
});

onComputer("a second start shows the first window, and closing it without a tray quits", {}, async (world) => {
  const variables = { BASE_URL: "http://127.0.0.1:9/v1beta", PORT: String(await freePort()) };
  const window = await world.open(variables);
  const address = await running(window);
  const first = await window.processes();
  assert.equal(first.length, 1);
  // Nobody set this one: the app has replaced itself to have it.
  const own = await window.variables(first[0]);
  assert.ok(own.includes("WEBKIT_DISABLE_DMABUF_RENDERER=1"), "the app draws with DMA-BUF");

  const second = await world.run(program("GB_DESKTOP_BIN"), []);
  assert.equal(second.code, 0, second.out);
  assert.deepEqual(await window.processes(), first, "the first one runs, and no other");
  assert.equal(await running(window), address);

  await window.close();
  await window.ended();
  await assert.rejects(fetch(address), "the proxy lives on after the window was closed");
});

onComputer("a start while the app lets its answers end is not lost", {}, async (world) => {
  let release;
  const released = new Promise((done) => (release = done));
  const asked = [];
  const google = createWebServer(async (request, response) => {
    asked.push(request.url);
    if (request.url.includes("generateContent")) await released;
    const candidates = [{ content: { role: "model", parts: [{ text: "Hello" }] }, finishReason: "STOP" }];
    response.setHeader("content-type", "application/json").end(JSON.stringify({ candidates }));
  });
  await new Promise((done) => google.listen(0, "127.0.0.1", done));
  try {
    const base = `http://127.0.0.1:${google.address().port}/v1beta`;
    const window = await world.open({ BASE_URL: base, PORT: String(await freePort()) });
    const address = await running(window);
    await window.invoke("admin_call", { call: { method: "POST", path: "/api/keys/import", body: { text: KEY } } });
    const answer = generate(address, await pastedToken(window));
    await until("the request is on its way", () => asked.some((url) => url.includes("generateContent")));

    const [first] = await window.processes();
    process.kill(Number(first), "SIGTERM");
    await until("nothing new is accepted", () => fetch(address).then(() => false, () => true));
    const second = await world.run(program("GB_DESKTOP_BIN"), []);
    assert.equal(second.code, 0, second.out);
    assert.deepEqual(await window.processes(), [first], "the first one still waits for its answer");
    release();
    await answer;

    await until("the app runs again", async () => {
      const pids = await window.processes();
      return pids.length === 1 && pids[0] !== first;
    });
    // The driver has nothing to do with this one, so it is asked from outside.
    await until("its proxy runs", async () => (await fetch(`${address}/health`)).ok);
    world.opened += 1;
    await window.quit();
  } finally {
    release();
    google.close();
  }
});

onComputer("without a display the app says so where it was started from", { keychain: false }, async (world) => {
  delete world.environment.DISPLAY;
  const { code, out } = await world.run(program("GB_DESKTOP_BIN"), []);
  assert.equal(code, 1, out);
  assert.match(out, /The window cannot be opened/);
  assert.match(await world.log(), /The window cannot be opened/);
});

onComputer("where a tray is, closing hides the window, and a second start brings it back", {}, async (world) => {
  await world.showTrays();
  const window = await world.open({ BASE_URL: "http://127.0.0.1:9/v1beta", PORT: String(await freePort()) });
  const address = await running(window);
  const shown = async () => await window.script("return document.visibilityState");
  await window.until("the window is shown", async () => (await shown()) === "visible");

  await window.close();
  await window.until("the window is hidden", async () => (await shown()) === "hidden");
  assert.ok((await fetch(`${address}/health`)).ok, "the proxy goes on");

  const second = await world.run(program("GB_DESKTOP_BIN"), []);
  assert.equal(second.code, 0, second.out);
  await window.until("the window is shown again", async () => (await shown()) === "visible");
  await window.quit();
});
