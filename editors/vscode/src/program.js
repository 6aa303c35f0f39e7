// Finds the program `tatmig` and checks that it can be run.

const { execFile } = require("node:child_process");

/** How long `tatmig --version` may take, in milliseconds. */
const TIME_LIMIT = 10_000;

/** The program of the setting `tatmig.path`, which may begin with `~/`; else `tatmig`, from PATH. */
function programOf(setting, home) {
  const path = setting.trim();
  if (path === "") return "tatmig";
  return /^~[/\\]/.test(path) ? home + path.slice(1) : path;
}

/** What prevents the program from being used as a language server, or `undefined`. */
async function problemOf(program) {
  const version = await run(program, ["--version"]);
  if (version.error?.code === "ENOENT") {
    return program === "tatmig"
      ? "the program `tatmig` is not on PATH: install it, or set `tatmig.path` to the program"
      : `\`${program}\` does not exist: correct the setting \`tatmig.path\`, or leave it empty to use PATH`;
  }
  if (version.error?.code === "EACCES") {
    return `\`${program}\` cannot be executed: correct its permissions or the setting \`tatmig.path\``;
  }
  if (version.error?.killed) {
    return `\`${program} --version\` did not end within ${TIME_LIMIT / 1000} seconds: run it in a terminal to see why`;
  }
  if (version.error || !version.stdout.startsWith("tatmig ")) {
    return `\`${program}\` is not tatmig: correct the setting \`tatmig.path\`, or leave it empty to use PATH`;
  }
  const help = await run(program, ["lsp", "--help"]);
  if (help.error) {
    return `${version.stdout.trim()} has no language server: install a newer version`;
  }
  return undefined;
}

/** Runs a program to its end. */
function run(program, args) {
  return new Promise((resolve) => {
    const done = (error, stdout) => resolve({ error, stdout: stdout ?? "" });
    try {
      execFile(program, args, { timeout: TIME_LIMIT, windowsHide: true }, done);
    } catch (error) {
      done(error);
    }
  });
}

module.exports = { problemOf, programOf };
