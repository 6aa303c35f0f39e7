// Colours documents with the grammars of VS Code and the two of this package.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import oniguruma from "vscode-oniguruma";
import textmate from "vscode-textmate";

const require = createRequire(import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url)));
const own = Object.fromEntries(
  manifest.contributes.grammars.map(({ scopeName, path }) => [scopeName, new URL(`../${path}`, import.meta.url)]),
);
const bundled = { "text.html.markdown": "markdown", "source.sql": "sql" };
let grammar;

before(async () => {
  const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
  await oniguruma.loadWASM(wasm);
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    getInjections: (scope) => (scope === "text.html.markdown" ? Object.keys(own) : undefined),
    loadGrammar: async (scope) => {
      const path = own[scope] ?? (bundled[scope] && require.resolve(`tm-grammars/grammars/${bundled[scope]}.json`));
      return path ? textmate.parseRawGrammar(readFileSync(path, "utf8"), "grammar.json") : null;
    },
  });
  grammar = await registry.loadGrammar("text.html.markdown");
});

/** The scopes of a text in a document. */
function scopesOf(document, text) {
  let state = textmate.INITIAL;
  for (const line of document.split("\n")) {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, state);
    const at = line.indexOf(text);
    if (at >= 0) return tokens.find((token) => token.startIndex <= at && at < token.endIndex).scopes;
    state = ruleStack;
  }
  throw new Error(`${text} is not in the document`);
}

function document(label, tag = "-- [user:1.0.0→1.1.0:start]") {
  return `## 1.0.0 → 1.1.0\n\n\`\`\`${label}\n${tag}\n-- a comment\nSELECT word FROM notes;\n\`\`\`\n\nSELECT prose\n`;
}

for (const label of ["sql", "sqlite", "SQLite", "sqlite title"]) {
  test(`the SQL of a fence labelled \`${label}\` is coloured, and the text below it is not`, () => {
    const text = document(label);
    assert.ok(scopesOf(text, "SELECT word").includes("meta.embedded.block.sql"));
    assert.ok(scopesOf(text, "SELECT word").some((scope) => scope.startsWith("keyword.other")));
    assert.ok(scopesOf(text, "a comment").some((scope) => scope.startsWith("comment")));
    assert.ok(!scopesOf(text, "SELECT prose").some((scope) => scope.includes("sql")));
  });
}

test("fences with other labels are left to their own grammars", () => {
  for (const label of ["sqlitefoo", "text", "python"]) {
    assert.ok(!scopesOf(document(label), "SELECT word").includes("meta.embedded.block.sql"), label);
  }
});

const tags = {
  "-- [user:1.0.0→1.1.0:start]": ["user", "1.0.0", "→", "1.1.0", "start"],
  "-- [system:baseline->2.0.0-rc.1:end]": ["system", "baseline", "->", "2.0.0-rc.1", "end"],
  "  --[ system : 1.1.0 → 1.0.0 : end ]": ["system", "1.1.0", "→", "1.0.0", "end"],
  "-- [user:seed:welcome_2:start]": ["user", "seed", "welcome_2", "start"],
};
const scopeOfPart = (part) =>
  ({ user: "storage.type.scope.tatmig", system: "storage.type.scope.tatmig", "→": "keyword.operator.arrow.tatmig",
    "->": "keyword.operator.arrow.tatmig", start: "keyword.control.boundary.tatmig", end: "keyword.control.boundary.tatmig",
    seed: "keyword.other.seed.tatmig", welcome_2: "entity.name.section.seed.tatmig" })[part] ?? "constant.numeric.version.tatmig";

for (const [tag, parts] of Object.entries(tags)) {
  test(`every part of \`${tag}\` has its colour in each kind of fence`, () => {
    for (const label of ["sql", "sqlite", ""]) {
      for (const part of parts) {
        // The heading has the versions too.
        const text = document(label, tag).split("\n").slice(1).join("\n");
        const scopes = scopesOf(text, part);
        assert.ok(scopes.includes(scopeOfPart(part)), `${label}: ${part} has ${scopes}`);
        assert.ok(!scopes.some((scope) => scope.startsWith("comment")), `${label}: ${part} has ${scopes}`);
      }
    }
  });
}

test("what is no tag has the colour of a comment", () => {
  for (const tag of ["-- [users:1.0.0→1.1.0:start]", "-- [user:1.0.0→1.1.0:begin]", "-- [user:1.0.0:start]", "x -- [user:1→2:end]"]) {
    const scopes = scopesOf(document("sql", tag).split("\n").slice(1).join("\n"), "[user");
    assert.ok(!scopes.includes("meta.tag.tatmig"), `${tag} has ${scopes}`);
  }
});

test("a directive has its name, rule and reason coloured", () => {
  const text = document("sql", "-- tatmig:allow destructive reviewed by ann");
  assert.ok(scopesOf(text, "tatmig:allow").includes("keyword.control.directive.tatmig"));
  assert.ok(scopesOf(text, "destructive").includes("variable.parameter.rule.tatmig"));
  assert.ok(scopesOf(text, "reviewed").includes("string.unquoted.reason.tatmig"));
  assert.ok(scopesOf(document("sql", "-- tatmig:assert why"), "why").includes("string.unquoted.reason.tatmig"));
  assert.ok(!scopesOf(document("sql", "-- tatmig:asserted"), "tatmig:asserted").includes("meta.directive.tatmig"));
});
