/**
 * Packs the npm packages into target/npm: `tatmig`, and the package of a platform, which holds the
 * program. Names, version and description come from Cargo.toml.
 *
 *     node scripts/pack.mjs                                    tatmig, and the platform of this machine
 *     node scripts/pack.mjs --program PATH                     the same, with another program
 *     node scripts/pack.mjs --only-main                        tatmig
 *     node scripts/pack.mjs --platform darwin-arm64 --program PATH     one platform
 *
 * Run `npm ci` and `npm run build` before `tatmig` is packed.
 */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = fileURLToPath(new URL("..", import.meta.url));
const root = join(here, "../..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const out = join(target, "npm");

/** The platforms that have a package, as `process.platform` and `process.arch` name them. */
const PLATFORMS = JSON.parse(readFileSync(join(root, "packaging/targets.json"), "utf8")).map(
  ({ npm }) => npm,
);

const cargo = readFileSync(join(root, "Cargo.toml"), "utf8");
const shared = {
  version: cargoValue("version"),
  description: cargoValue("description"),
  license: cargoValue("license"),
  // npm shows where a package was built only if the repository is the one of the workflow.
  ...(hasCargoValue("repository")
    ? { repository: { type: "git", url: `git+${cargoValue("repository")}.git` } }
    : {}),
};

/** The first value of a key in Cargo.toml; its first table is `[package]`. */
function cargoValue(key) {
  const found = findCargoValue(key);
  if (found === null) throw new Error(`Cargo.toml has no ${key}`);
  return found[1];
}

function hasCargoValue(key) {
  return findCargoValue(key) !== null;
}

function findCargoValue(key) {
  return new RegExp(`^${key} = "(.*)"$`, "m").exec(cargo);
}

function packMain() {
  const directory = stage("tatmig", {
    name: "tatmig",
    ...shared,
    keywords: ["sqlite", "migrations", "schema", "markdown", "database"],
    type: "module",
    exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } },
    types: "./dist/index.d.ts",
    bin: { tatmig: "dist/cli.js" },
    files: ["dist"],
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(
      PLATFORMS.map((platform) => [`@tatmig/${platform}`, shared.version]),
    ),
  });
  cpSync(join(here, "dist"), join(directory, "dist"), { recursive: true });
  copyFileSync(join(here, "README.md"), join(directory, "README.md"));
  pack(directory);
}

function packPlatform(platform, program) {
  if (!PLATFORMS.includes(platform)) {
    throw new Error(`${platform} is not one of ${PLATFORMS.join(", ")}`);
  }
  const [os, cpu] = platform.split("-");
  const bytes = readFileSync(program);
  const directory = stage(platform, {
    name: `@tatmig/${platform}`,
    ...shared,
    description: `The program tatmig for ${platform}; install the package tatmig`,
    os: [os],
    cpu: [cpu],
    // A program that is linked statically runs with any C library.
    ...(bytes.includes("ld-linux-") ? { libc: ["glibc"] } : {}),
    files: ["bin"],
    // Yarn must unpack the program to run it.
    preferUnplugged: true,
  });
  const name = os === "win32" ? "tatmig.exe" : "tatmig";
  mkdirSync(join(directory, "bin"));
  writeFileSync(join(directory, "bin", name), bytes);
  chmodSync(join(directory, "bin", name), 0o755);
  const readme = `# @tatmig/${platform}\n\nThe program of the package [tatmig](https://www.npmjs.com/package/tatmig) for ${platform}. Install \`tatmig\`.\n`;
  writeFileSync(join(directory, "README.md"), readme);
  pack(directory);
}

/** An empty directory with a package.json and the licence. */
function stage(name, manifest) {
  const directory = join(out, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(join(root, "LICENSE"), join(directory, "LICENSE"));
  return directory;
}

function pack(directory) {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const options = ["pack", "--ignore-scripts", "--pack-destination", out];
  execFileSync(npm, options, { cwd: directory, stdio: ["ignore", "inherit", "ignore"] });
}

const { values } = parseArgs({
  options: {
    "only-main": { type: "boolean" },
    platform: { type: "string" },
    program: { type: "string" },
  },
});
const { platform, program } = values;
if (platform !== undefined) {
  if (program === undefined) throw new Error("--platform needs --program PATH");
  packPlatform(platform, program);
} else {
  packMain();
  if (!values["only-main"]) {
    const name = process.platform === "win32" ? "tatmig.exe" : "tatmig";
    packPlatform(
      `${process.platform}-${process.arch}`,
      program ?? join(target, "release", name),
    );
  }
}
