// A computer for one test: display, session bus, keychain, home folder, driver. Each has
// its own, on a free display and free ports, and `end()` ends everything that was started.

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// How long anything may take before the test gives up. Generous: the machine may be busy.
const PATIENCE = 60_000;
// How long the driver may take over a click, which takes it milliseconds.
const CLICK_PATIENCE = 15_000;

const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=FOLDER</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;

export const program = (variable, fallback) => {
  const path = process.env[variable] ?? fallback;
  if (!path) throw new Error(`${variable} must name a program; \`cargo xtask test\` sets it`);
  return path;
};

// All that runs, so that nothing outlives the test even when that is ended from outside.
const everything = new Set();
process.once("exit", () => everything.forEach((child) => signal(child, "SIGKILL")));
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(name, () => process.exit(1));

export class World {
  // How often the app was opened here.
  opened = 0;
  #running = [];
  #end = [];

  // keychain: an unlocked one is there; without it there is not even a session bus.
  static async begin({ keychain = true } = {}) {
    const world = new World();
    try {
      await world.#begin(keychain);
    } catch (error) {
      await world.end();
      throw error;
    }
    return world;
  }

  async #begin(keychain) {
    this.home = await mkdtemp(join(tmpdir(), "gb-desktop-"));
    this.#end.push(() => rm(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }));
    this.data = join(this.home, "data");
    const runtime = join(this.home, "run");
    await mkdir(runtime, { mode: 0o700 });
    this.environment = {
      PATH: process.env.PATH,
      HOME: this.home,
      LANG: "C.UTF-8",
      XDG_RUNTIME_DIR: runtime,
      XDG_DATA_HOME: join(this.home, "share"),
      XDG_CONFIG_HOME: join(this.home, "config"),
      XDG_CACHE_HOME: join(this.home, "cache"),
      GDK_BACKEND: "x11",
      NO_AT_BRIDGE: "1",
      GTK_A11Y: "none",
      LIBGL_ALWAYS_SOFTWARE: "1",
      GEMINI_BALANCE_DATA_DIR: this.data,
      RUST_BACKTRACE: "1",
    };
    const display = await this.#firstLine("Xvfb", ["-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp"]);
    this.environment.DISPLAY = `:${display}`;
    if (!keychain) return;
    // A bus that starts no services by itself: whoever asks it for a keychain too early
    // would get a second one, and that one is locked.
    const config = join(this.home, "bus.conf");
    await writeFile(config, BUS.replace("FOLDER", runtime));
    this.environment.DBUS_SESSION_BUS_ADDRESS = await this.#firstLine("dbus-daemon", [
      `--config-file=${config}`,
      "--nofork",
      "--print-address=1",
    ]);
    const keyring = this.#start("gnome-keyring-daemon", ["--foreground", "--unlock", "--components=secrets"]);
    keyring.stdin.end("the test's login password");
    await until("the keychain answers", async () => {
      const { code, out } = await this.run("dbus-send", [
        "--session",
        "--print-reply",
        "--dest=org.freedesktop.secrets",
        "/org/freedesktop/secrets/aliases/default",
        "org.freedesktop.DBus.Properties.Get",
        "string:org.freedesktop.Secret.Collection",
        "string:Locked",
      ]);
      return code === 0 && out.includes("boolean false");
    });
  }

  // Locks the keychain. Nothing on this computer could ask for its password.
  async lock() {
    const { code, out } = await this.run("dbus-send", [
      "--session",
      "--print-reply",
      "--dest=org.freedesktop.secrets",
      "/org/freedesktop/secrets",
      "org.freedesktop.Secret.Service.Lock",
      "array:objpath:/org/freedesktop/secrets/collection/login",
    ]);
    if (code !== 0) throw new Error(out);
  }

  // A desktop that shows tray icons.
  async showTrays() {
    await this.#firstLine("python3", [beside("tray.py")]);
  }

  // A fake Google with one key; answers its address.
  async google(key) {
    const google = program("GB_FAKE_GOOGLE_BIN");
    return await this.#firstLine(google, ["--port", "0", "--keys", key]);
  }

  // Fake clouds, whose apps are processes of the real server and ask this Google; answers what
  // they say of themselves, by name.
  async clouds(google) {
    const variables = { GB_SERVER_BIN: program("GB_SERVER_BIN") };
    const said = await this.#says(
      program("GB_FAKE_CLOUDS_BIN"),
      ["--step", "50", "--default", `BASE_URL=${google}/v1beta`],
      (text) => text.includes("\nready\n") && text,
      variables,
    );
    return Object.fromEntries(said.split("\n").map((line) => line.split(" ")));
  }

  // Starts the app and answers its window. `variables` go into its environment.
  async open(variables = {}) {
    this.opened += 1;
    const [port, native] = [await freePort(), await freePort()];
    const driver = this.#start(
      program("TAURI_DRIVER", "tauri-driver"),
      ["--port", String(port), "--native-port", String(native)],
      variables,
    );
    const base = `http://127.0.0.1:${port}`;
    await until("the driver answers", async () => {
      alive(driver);
      return (await fetch(`${base}/status`)).ok;
    });
    const session = await ask(`${base}/session`, "POST", {
      capabilities: {
        alwaysMatch: { "tauri:options": { application: program("GB_DESKTOP_BIN") } },
      },
    });
    return new Window(this, base, session.sessionId, driver);
  }

  // Runs a program of this computer to its end.
  async run(name, args) {
    const child = spawn(name, args, { env: this.environment, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (out += data));
    const code = await new Promise((done, failed) => {
      child.on("error", failed);
      child.on("close", done);
    });
    return { code, out };
  }

  // Every file below the data folder, as [path, bytes].
  async files(folder = this.data) {
    const found = [];
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) found.push(...(await this.files(path)));
      else if (entry.isFile()) found.push([path, await readFile(path)]);
    }
    return found;
  }

  // What the app wrote to its log; for the message of a failed test.
  async log() {
    try {
      const files = await this.files(join(this.data, "logs"));
      return files.map(([, bytes]) => bytes.toString()).join("\n");
    } catch {
      return "(no log)";
    }
  }

  // Ends one program and everything that it started.
  async stop(child) {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      signal(child, "SIGTERM");
      const timer = setTimeout(() => signal(child, "SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    }
    signal(child, "SIGKILL");
    this.#running = this.#running.filter((other) => other !== child);
    everything.delete(child);
  }

  async end() {
    for (const child of [...this.#running].reverse()) await this.stop(child);
    for (const end of this.#end) await end();
  }

  #start(name, args, variables = {}) {
    const child = spawn(name, args, {
      env: { ...this.environment, ...variables },
      stdio: ["pipe", "pipe", "pipe"],
      // A group of its own, so that what it starts ends with it.
      detached: true,
    });
    child.output = "";
    child.stdin.on("error", () => {});
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => (child.output = (child.output + data).slice(-20_000)));
    }
    child.on("error", (error) => (child.output += `${name}: ${error.message}`));
    this.#running.push(child);
    everything.add(child);
    return child;
  }

  async #firstLine(name, args) {
    return await this.#says(name, args, (text) => text.includes("\n") && text.split("\n")[0].trim());
  }

  // Starts a program and waits until `found` finds something in what it has said.
  async #says(name, args, found, variables = {}) {
    const child = this.#start(name, args, variables);
    let text = "";
    child.stdout.on("data", (data) => (text += data));
    return await until(`${name} says where it is`, () => {
      alive(child);
      return found(text);
    });
  }
}

// One window of the app, by WebDriver.
export class Window {
  constructor(world, base, session, driver) {
    Object.assign(this, { world, url: `${base}/session/${session}`, driver });
  }

  // The element with this data-testid, as soon as it is there and shown.
  async see(id) {
    return await this.until(`«${id}» is shown`, async () => {
      const found = await this.#find(id);
      return found && (await ask(`${this.url}/element/${found}/displayed`, "GET")) && found;
    });
  }

  async gone(id) {
    await this.until(`«${id}» is gone`, async () => !(await this.#find(id)));
  }

  async text(id) {
    return await ask(`${this.url}/element/${await this.see(id)}/text`, "GET");
  }

  // What stands in the field `id`.
  async value(id) {
    return await ask(`${this.url}/element/${await this.see(id)}/property/value`, "GET");
  }

  async attribute(id, name) {
    return await ask(`${this.url}/element/${await this.see(id)}/attribute/${name}`, "GET");
  }

  // Waits until the text of `id` is one that `wanted` accepts, and answers it.
  async reads(id, wanted) {
    return await this.until(`the text of «${id}»`, async () => {
      const found = await this.#find(id);
      const text = found && (await ask(`${this.url}/element/${found}/text`, "GET"));
      return text && wanted(text) && text;
    });
  }

  // A click counts as soon as the page has got it, whatever the driver says: it can lose sight of
  // an element that goes away with the click, and a second click would wait for it in vain.
  async click(id) {
    await this.until(`«${id}» can be clicked`, async () => {
      const found = await this.#find(id);
      if (!found || !(await ask(`${this.url}/element/${found}/enabled`, "GET"))) return false;
      await this.script(
        `const element = document.querySelector(arguments[0]);
        window.landed = false;
        element.addEventListener("click", () => (window.landed = true), { once: true });
        // WebDriver itself brings it just to the edge, where the bar of the proxy may be over it.
        element.scrollIntoView({ block: "center" });`,
        `[data-testid="${id}"]`,
      );
      try {
        await ask(`${this.url}/element/${found}/click`, "POST", {}, CLICK_PATIENCE);
      } catch (error) {
        if (!(await this.script("return window.landed"))) throw error;
      }
      return true;
    });
  }

  async type(id, text) {
    const found = await this.see(id);
    await ask(`${this.url}/element/${found}/value`, "POST", { text });
  }

  // Presses Control and `key` at once.
  async control(key) {
    const actions = ["keyDown", "keyUp"].map((type) => ({ type, value: "\uE009" }));
    actions.splice(1, 0, ...["keyDown", "keyUp"].map((type) => ({ type, value: key })));
    await ask(`${this.url}/actions`, "POST", { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  async script(source, ...args) {
    return await ask(`${this.url}/execute/sync`, "POST", { script: source, args });
  }

  async clear(id) {
    await ask(`${this.url}/element/${await this.see(id)}/clear`, "POST", {});
  }

  // Runs `source`, which calls `done(value)` some time later.
  async later(source, ...args) {
    const wrapped = `const done = arguments[arguments.length - 1]; const args = arguments; ${source}`;
    return await ask(`${this.url}/execute/async`, "POST", { script: wrapped, args });
  }

  // What one command of the bridge answers, as { ok } or { error }.
  async invoke(command, args = {}) {
    return await this.later(
      `window.__TAURI_INTERNALS__.invoke(args[0], args[1])
        .then((ok) => done({ ok }), (error) => done({ error }))`,
      command,
      args,
    );
  }

  // A picture of the window, in the folder that GB_SCREENSHOTS names. WebKit takes it with
  // the next frame, and a page at rest draws none; so this one is kept from resting.
  async picture(name) {
    const folder = process.env.GB_SCREENSHOTS;
    if (!folder) return;
    await mkdir(folder, { recursive: true });
    await this.script(`
      let frames = 0;
      const draw = () => {
        document.body.style.opacity = ++frames % 2 ? 0.999 : 1;
        if (frames < 60) setTimeout(draw, 50);
      };
      draw();`);
    const png = await ask(`${this.url}/screenshot`, "GET");
    await writeFile(join(folder, `${name}.png`), Buffer.from(png, "base64"));
  }

  // Clicks on the cross. (WebDriver's own way of closing the last window kills the
  // process, which would hide an app that does not end well.)
  async close() {
    const { code, out } = await this.world.run("python3", [beside("close.py"), "Gemini Balance"]);
    if (code !== 0) throw new Error(out);
  }

  // Ends the app as signing out of the computer does.
  async quit() {
    const pids = await this.processes();
    if (pids.length === 0) throw new Error("the app does not run");
    for (const pid of pids) process.kill(Number(pid), "SIGTERM");
    await this.ended();
  }

  // Waits until the app has ended, and sees that it did so in good order.
  async ended() {
    await this.until("the app has quit", async () => (await this.processes()).length === 0);
    const log = await this.world.log();
    const ends = log.match(/ end$/gm)?.length ?? 0;
    if (ends !== this.world.opened) throw new Error(`the app did not end in good order:\n${log}`);
    await this.world.stop(this.driver);
  }

  // The processes of the app that use this world's data folder.
  async processes() {
    const mark = `GEMINI_BALANCE_DATA_DIR=${this.world.data}`;
    const binary = program("GB_DESKTOP_BIN").split("/").pop().slice(0, 15);
    const found = [];
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      try {
        const name = (await readFile(`/proc/${pid}/comm`, "utf8")).trim();
        const variables = (await readFile(`/proc/${pid}/environ`, "utf8")).split("\0");
        if (name === binary && variables.includes(mark)) found.push(pid);
      } catch {
        // It has just ended.
      }
    }
    return found;
  }

  // The environment that a process of the app was started with.
  async variables(pid) {
    return (await readFile(`/proc/${pid}/environ`, "utf8")).split("\0");
  }

  async #find(id) {
    const elements = await ask(`${this.url}/elements`, "POST", {
      using: "css selector",
      value: `[data-testid="${id}"]`,
    });
    return elements.length > 0 ? Object.values(elements[0])[0] : undefined;
  }

  // As the function of the same name; what it waited for in vain comes with the page and
  // the logs.
  async until(what, check) {
    try {
      return await until(what, check);
    } catch (error) {
      const page = await this.script("return document.body.innerText").catch(() => "(no page)");
      await this.picture("failed").catch(() => {});
      error.message += `\n--- page\n${page}\n--- log\n${await this.world.log()}\n--- driver\n${this.driver.output}`;
      throw error;
    }
  }
}

// An error that waiting does not mend.
class GiveUp extends Error {}

// Asks again and again until `check` answers something, or patience ends.
export async function until(what, check) {
  const end = performance.now() + PATIENCE;
  let last;
  for (;;) {
    try {
      const answer = await check();
      if (answer) return answer;
      last = undefined;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      last = error;
    }
    if (performance.now() > end) {
      const why = last ? ` (${last.message})` : "";
      throw new Error(`waited in vain: ${what}${why}`, { cause: last });
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

export async function freePort() {
  const server = createServer();
  await new Promise((done, failed) => server.once("error", failed).listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

async function ask(url, method, body, patience = PATIENCE) {
  const answer = await fetch(url, {
    method,
    body: body && JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal: AbortSignal.timeout(patience),
  }).catch((error) => {
    throw new Error(`${method} ${url} ${JSON.stringify(body)}: ${error.message}`, { cause: error });
  });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${url}: ${JSON.stringify(value)}`);
  return value;
}

const beside = (file) => fileURLToPath(new URL(file, import.meta.url));

function alive(child) {
  if (child.exitCode !== null || child.pid === undefined) {
    throw new GiveUp(`${child.spawnfile} does not run: ${child.output}`);
  }
}

function signal(child, name) {
  try {
    process.kill(-child.pid, name);
  } catch {
    // The group has ended already.
  }
}
