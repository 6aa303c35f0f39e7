/** A hundred log-ins at once, while a new version of the document is released. */

import assert from "node:assert/strict";
import test from "node:test";

import { withDatabase } from "../src/databases.ts";
import { Installation, PASSWORD } from "./support.ts";

const USERS = Array.from({ length: 50 }, (_, number) => `user${number}`);
const LOG_INS_EACH = 2;
const OLD_NOTES = ["first", "second", "third"];
/** The new version is released when so many log-ins were answered. */
const ANSWERED_BEFORE_RELEASE = 20;

const COLOURS = `
## 1.1.0 → 1.2.0

**Date**: 2026-07-01
**Description**: Notes have a colour

\`\`\`sql
-- [user:1.1.0→1.2.0:start]
ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'white';
-- [user:1.1.0→1.2.0:end]
\`\`\`
`;

/** Makes users at 1.0.0 with notes, as the release before this one left them. */
async function addOldUsers(installation: Installation): Promise<void> {
  const document = installation.readDocument();
  installation.release(document.slice(0, document.indexOf("## 1.0.0 → 1.1.0")));
  await installation.fleet.init({ user: USERS });
  for (const name of USERS) {
    assert(await installation.accounts.create(name, PASSWORD));
    withDatabase(installation.userDatabase(name), (database) => {
      const insert = database.prepare("INSERT INTO notes (body) VALUES (?)");
      for (const body of OLD_NOTES) insert.run(body);
    });
  }
  installation.release(document);
}

test("each user is migrated once per version and loses nothing", async (context) => {
  const installation = new Installation(context);
  await addOldUsers(installation);
  const client = await installation.start(context);

  let answered = 0;
  /** Logs in, adds a note, and reads all of them. */
  async function visit(name: string, number: number): Promise<void> {
    const token = await client.logIn(name);
    answered += 1;
    if (answered === ANSWERED_BEFORE_RELEASE) {
      installation.release(installation.readDocument() + COLOURS);
    }
    await client.add(token, { body: `visit ${number}` });
    const bodies = new Set(await client.bodies(token));
    assert(bodies.isSupersetOf(new Set([...OLD_NOTES, `visit ${number}`])));
  }

  const numbers = Array.from({ length: LOG_INS_EACH }, (_, number) => number);
  await Promise.all(numbers.flatMap((number) => USERS.map((name) => visit(name, number))));
  // Whoever was migrated to 1.1.0 before the release is migrated at the next log-in.
  await Promise.all(USERS.map((name) => client.logIn(name)));

  const histories = installation.histories();
  for (const name of USERS) {
    assert.deepEqual(histories.get(name), ["1.0.0", "1.1.0", "1.2.0"]);
    const notes = withDatabase(installation.userDatabase(name), (database) => {
      return database.prepare("SELECT body, pinned, colour FROM notes ORDER BY id").all();
    });
    const old = notes.slice(0, OLD_NOTES.length).map((note) => ({ ...note }));
    assert.deepEqual(old, OLD_NOTES.map((body) => ({ body, pinned: 0, colour: "white" })));
    const visits = notes.slice(OLD_NOTES.length).map(({ body }) => body);
    assert.deepEqual(visits.sort(), numbers.map((number) => `visit ${number}`));
  }
  assert((await installation.fleet.verify()).isOk);
  assert.doesNotMatch(installation.log, /"statusCode":500/);
});
