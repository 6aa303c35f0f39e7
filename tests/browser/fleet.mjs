// Builds a fleet in a temporary directory with the real program, and reads the pages that it writes.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(process.env.TATMIG ?? join(import.meta.dirname, "../../target/debug/tatmig"));

const FIRST_VERSION = `# Notes

## baseline → 1.0.0

\`\`\`sql
-- [system:baseline→1.0.0:start]
CREATE TABLE accounts (name TEXT PRIMARY KEY);
-- [system:baseline→1.0.0:end]
\`\`\`

\`\`\`sql
-- [user:baseline→1.0.0:start]
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL, mood TEXT);
CREATE TABLE tags (note_id INTEGER NOT NULL REFERENCES notes (id), tag TEXT NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value);
-- [user:baseline→1.0.0:end]
\`\`\`

`;

// Only while this is head, since a seed block runs on databases at head.
const SEED = `
\`\`\`sql
-- [user:seed:duplicates:start]
INSERT INTO notes VALUES (1, 'tea', NULL);
INSERT INTO tags VALUES (1, '<script>window.stolen = 2</script>'), (1, '<script>window.stolen = 2</script>');
-- [user:seed:duplicates:end]
\`\`\`
`;

const SECOND_VERSION = `## 1.0.0 → 1.1.0

**Description**: Each tag once, and </script><script>window.stolen = 1</script>

\`\`\`sql
-- [user:1.0.0→1.1.0:start]
CREATE UNIQUE INDEX tag_once ON tags (note_id, tag);
ALTER TABLE notes DROP COLUMN mood;
CREATE TABLE files (id INTEGER PRIMARY KEY, note_id INTEGER REFERENCES notes (id), "</script>" TEXT DEFAULT '<img src=x onerror=alert(1)>');
-- [user:1.0.0→1.1.0:end]
\`\`\`
`;

export const HOSTILE_NAMES = [
  "<script>window.stolen = 3<script>",
  "<img src=x onerror='window.stolen = 4'>",
  "\"quoted\" & 'single' `tick`",
  "line\u2028separator\u202Eright\u2066",
  "--><!--<script>",
  "{{data}}",
];

export class Fleet {
  constructor(document) {
    this.directory = mkdtempSync(join(tmpdir(), "tatmig-browser-"));
    mkdirSync(join(this.directory, "users"));
    this.setDocument(document);
    writeFileSync(join(this.directory, "tatmig.toml"), 'users_dir = "users"\nuser_pattern = "{username}.db"\n');
    writeFileSync(join(this.directory, "system.db"), "");
  }

  setDocument(document) {
    writeFileSync(join(this.directory, "MIGRATIONS.md"), document);
  }

  addUsers(names) {
    for (const name of names) writeFileSync(join(this.directory, "users", `${name}.db`), "");
    return this;
  }

  // Runs the program, which must end with this status.
  run(status, ...words) {
    const result = spawnSync(program, words, { cwd: this.directory, encoding: "utf8" });
    if (result.status !== status) throw new Error(`${words.join(" ")}: ${result.status}\n${result.stderr}`);
    return result;
  }

  path(name) {
    return join(this.directory, name);
  }

  // Runs a command with `--report` and returns the path of the page.
  report(status, ...words) {
    this.pages = (this.pages ?? 0) + 1;
    const name = `page${this.pages}.html`;
    this.run(status, ...words, "--report", name);
    return this.path(name);
  }

  remove() {
    execFileSync("rm", ["-rf", this.directory]);
  }
}

// 24 users: some behind, one current, two that fail, one that is no database, and hostile names.
export function mixedFleet() {
  const users = Array.from({ length: 15 }, (_, at) => `user${String(at).padStart(2, "0")}`);
  const fleet = new Fleet(FIRST_VERSION + SEED).addUsers([...users, "grace", "heidi", ...HOSTILE_NAMES]);
  fleet.run(0, "upgrade", "--all-users");
  fleet.run(0, "seed", "duplicates", "--user", "grace", "--user", "heidi");
  fleet.setDocument(FIRST_VERSION + SECOND_VERSION);
  fleet.run(0, "upgrade", "--user", "user00", "--no-system");
  writeFileSync(fleet.path("users/broken.db"), "no database at all");
  return fleet;
}

// A page with other data: the JSON in a page can be exchanged, its style and script cannot.
export function withData(page, change) {
  const text = readFileSync(page, "utf8");
  const [before, rest] = text.split('<script type="application/json" id="data">');
  const end = rest.indexOf("</script>");
  const data = JSON.parse(rest.slice(0, end));
  change(data);
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const changed = page.replace(".html", "-changed.html");
  writeFileSync(changed, `${before}<script type="application/json" id="data">${json}${rest.slice(end)}`);
  return changed;
}
