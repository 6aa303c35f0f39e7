/** A real server in a directory of its own. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Fleet, findProgram } from "tatmig";

import { Accounts } from "../src/accounts.ts";
import type { NewNote, Note } from "../src/notes.ts";

const APPLICATION = fileURLToPath(new URL("..", import.meta.url));
export const PASSWORD = "correct horse";
const POLL_MS = 20;
const MAX_WAIT_MS = 10_000;

/** The application's directory on a server. */
export class Installation {
  readonly path = mkdtempSync(join(tmpdir(), "node-notes-"));
  readonly document = join(this.path, "MIGRATIONS.md");
  readonly fleet = new Fleet({ document: "MIGRATIONS.md", cwd: this.path });
  readonly accounts = new Accounts(join(this.path, "data/system.db"));
  readonly #logFile = join(this.path, "server.log");

  constructor(context: TestContext) {
    context.after(() => rmSync(this.path, { recursive: true }));
    for (const name of ["MIGRATIONS.md", "tatmig.toml"]) {
      cpSync(join(APPLICATION, name), join(this.path, name));
    }
    mkdirSync(join(this.path, "data/users"), { recursive: true });
  }

  get log(): string {
    return readFileSync(this.#logFile, "utf8");
  }

  /** Waits until the log has a text: the server writes it after the answer. */
  async logged(text: string): Promise<void> {
    for (let waited = 0; !this.log.includes(text); waited += POLL_MS) {
      assert(waited < MAX_WAIT_MS, `${text} is not in the log:\n${this.log}`);
      await setTimeout(POLL_MS);
    }
  }

  userDatabase(name: string): string {
    return join(this.path, "data/users", `${name}.db`);
  }

  /** Replaces the document, as a deployment does: at once, with a complete file. */
  release(document: string): void {
    writeFileSync(`${this.document}.new`, document);
    renameSync(`${this.document}.new`, this.document);
  }

  readDocument(): string {
    return readFileSync(this.document, "utf8");
  }

  /** The versions that each database reached, in order. */
  histories(): Map<string, string[]> {
    const options = { cwd: this.path, encoding: "utf8" } as const;
    const answer = execFileSync(findProgram(), ["history", "--all-users", "--json"], options);
    const { databases } = JSON.parse(answer) as {
      databases: { name: string; history: { to: string }[] }[];
    };
    return new Map(databases.map(({ name, history }) => [name, history.map(({ to }) => to)]));
  }

  /** Starts the server, which ends with the test. */
  async start(context: TestContext): Promise<Client> {
    const output = openSync(this.#logFile, "w");
    const child = spawn(process.execPath, [join(APPLICATION, "src/server.ts")], {
      cwd: this.path,
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    context.after(async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    });
    for (;;) {
      const [, url] = /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(this.log) ?? [];
      if (url !== undefined) return new Client(url);
      assert.equal(child.exitCode, null, this.log);
      await setTimeout(POLL_MS);
    }
  }
}

export class Client {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  send(method: string, path: string, body?: unknown, token?: string): Promise<Response> {
    return fetch(this.#url + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
  }

  signUp(name: string): Promise<Response> {
    return this.send("POST", "/accounts", { name, password: PASSWORD });
  }

  tryLogIn(name: string, password = PASSWORD): Promise<Response> {
    return this.send("POST", "/sessions", { name, password });
  }

  /** Returns the user's token. */
  async logIn(name: string): Promise<string> {
    const { token } = (await read(await this.tryLogIn(name), 200)) as { token: string };
    return token;
  }

  async add(token: string, note: NewNote): Promise<void> {
    await read(await this.send("POST", "/notes", note, token), 201);
  }

  async bodies(token: string): Promise<string[]> {
    const notes = (await read(await this.send("GET", "/notes", undefined, token), 200)) as Note[];
    return notes.map(({ body }) => body);
  }
}

/** The JSON of a response, which must have the status. */
async function read(response: Response, status: number): Promise<unknown> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return JSON.parse(text);
}
