/** What one user does, and what a user sees whose database cannot be migrated. */

import assert from "node:assert/strict";
import { existsSync, renameSync } from "node:fs";
import test from "node:test";

import { withDatabase } from "../src/databases.ts";
import { type Client, Installation } from "./support.ts";

const ONE_NOTE_EACH = `
## 1.1.0 → 1.2.0

**Date**: 2026-07-01
**Description**: A text can be noted only once

\`\`\`sql
-- [user:1.1.0→1.2.0:start]
CREATE UNIQUE INDEX IF NOT EXISTS one_note_each ON notes (body);
-- [user:1.1.0→1.2.0:end]
\`\`\`
`;

/** Returns the token of a new user. */
async function signUp(client: Client, name: string): Promise<string> {
  assert.equal((await client.signUp(name)).status, 201);
  return client.logIn(name);
}

test("a user signs up, logs in and keeps notes", async (context) => {
  const installation = new Installation(context);
  const client = await installation.start(context);
  const ann = await signUp(client, "ann");
  await client.add(ann, { body: "buy milk" });
  await client.add(ann, { body: "be kind", pinned: true });
  await client.add(ann, { body: "sleep" });
  assert.deepEqual(await client.bodies(ann), ["be kind", "sleep", "buy milk"]);
  // Another user has other notes.
  assert.deepEqual(await client.bodies(await signUp(client, "bob")), []);
  assert((await installation.fleet.verify()).isOk);
});

test("requests that are wrong are refused", async (context) => {
  const client = await new Installation(context).start(context);
  await signUp(client, "ann");
  assert.equal((await client.signUp("ann")).status, 409);
  assert.equal((await client.tryLogIn("ann", "wrong horse")).status, 401);
  assert.equal((await client.tryLogIn("nemo")).status, 401);
  assert.equal((await client.tryLogIn("../system")).status, 400);
  assert.equal((await client.send("GET", "/notes", undefined, "unknown")).status, 401);
});

test("a failing migration stops one user only", async (context) => {
  const installation = new Installation(context);
  const client = await installation.start(context);
  const [ann, bob] = [await signUp(client, "ann"), await signUp(client, "bob")];
  for (const body of ["tea", "milk"]) await client.add(ann, { body });
  for (const body of ["tea", "tea"]) await client.add(bob, { body });
  const document = installation.readDocument() + ONE_NOTE_EACH;
  installation.release(document);

  const refused = [
    await client.send("GET", "/notes", undefined, bob),
    await client.tryLogIn("bob"),
  ];
  for (const response of refused) {
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("Retry-After"), "60");
    const { message } = (await response.json()) as { message: string };
    assert.match(message, /^Your notes cannot be opened/);
  }
  assert.deepEqual(await client.bodies(ann), ["milk", "tea"]);
  assert.deepEqual(installation.histories().get("ann"), ["1.0.0", "1.1.0", "1.2.0"]);

  // The log has the cause, and the line of the statement.
  const line = document.slice(0, document.indexOf("CREATE UNIQUE INDEX")).split("\n").length;
  await installation.logged("bob: UNIQUE constraint failed: notes.body");
  await installation.logged(`at MIGRATIONS.md:${line}:`);

  // Nothing of bob's is lost. When the rows are repaired, the next request migrates them.
  assert.deepEqual(installation.histories().get("bob"), ["1.0.0", "1.1.0"]);
  withDatabase(installation.userDatabase("bob"), (database) => {
    const rows = database.prepare("SELECT body FROM notes ORDER BY id").all();
    assert.deepEqual(rows.map(({ body }) => body), ["tea", "tea"]);
    database.exec("UPDATE notes SET body = 'green tea' WHERE id = 2");
  });
  assert.deepEqual(await client.bodies(bob), ["green tea", "tea"]);
  assert.deepEqual(installation.histories().get("bob"), ["1.0.0", "1.1.0", "1.2.0"]);
});

test("a document with an error stops no process", async (context) => {
  const installation = new Installation(context);
  const client = await installation.start(context);
  const ann = await signUp(client, "ann");
  await client.add(ann, { body: "tea" });
  const document = installation.readDocument();
  installation.release(document + ONE_NOTE_EACH.replace("notes (body)", "notes (text)"));
  assert.equal((await client.send("GET", "/notes", undefined, ann)).status, 503);
  await installation.logged("at MIGRATIONS.md:");
  installation.release(document + ONE_NOTE_EACH);
  assert.deepEqual(await client.bodies(ann), ["tea"]);
});

test("a database that was lost is not replaced by an empty one", async (context) => {
  const installation = new Installation(context);
  const client = await installation.start(context);
  const ann = await signUp(client, "ann");
  const database = installation.userDatabase("ann");
  renameSync(database, `${database}.lost`);
  assert.equal((await client.send("GET", "/notes", undefined, ann)).status, 503);
  assert.equal((await client.tryLogIn("ann")).status, 503);
  assert(!existsSync(database));
});
