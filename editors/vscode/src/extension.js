// Starts `tatmig lsp` when a document with migrations is opened, and connects the editor to it.

const os = require("node:os");
const vscode = require("vscode");
const { LanguageClient, State } = require("vscode-languageclient/node");
const { problemOf, programOf } = require("./program.js");

const INSTALL = "https://github.com/tatmig/tatmig#install";

/** The commands of the server's code lenses. Their first argument is the URI of the document. */
const SERVER_COMMANDS = ["tatmig.rehearse", "tatmig.test", "tatmig.status"];

let output;
let client;
/** Starts and stops follow each other in this chain, so that two never overlap. */
let queue = Promise.resolve();
/** Whether the program was found missing and the user has seen it. */
let isRefused = false;

function activate(context) {
  output = vscode.window.createOutputChannel("tatmig", { log: true });
  context.subscriptions.push(
    output,
    vscode.commands.registerCommand("tatmig.restart", () => enqueue(restart)),
    vscode.commands.registerCommand("tatmig.showOutput", () => output.show()),
    vscode.workspace.onDidOpenTextDocument(() => enqueue(startIfNeeded)),
    vscode.workspace.onDidChangeConfiguration((change) => {
      const concerned = ["tatmig.path", "tatmig.files"].some((key) => change.affectsConfiguration(key));
      if (concerned) enqueue(restartIfNeeded);
    }),
  );
  return enqueue(startIfNeeded);
}

function deactivate() {
  return enqueue(stop);
}

function enqueue(step) {
  queue = queue.then(step).catch((error) => {
    output.error(error);
    vscode.window.showErrorMessage(`tatmig: ${error.message ?? error}`);
  });
  return queue;
}

/** Which documents hold migrations. */
function selector() {
  const patterns = vscode.workspace.getConfiguration("tatmig").get("files");
  return patterns.map((pattern) => ({ scheme: "file", language: "markdown", pattern }));
}

function hasDocument() {
  const documents = selector();
  return vscode.workspace.textDocuments.some((document) => vscode.languages.match(documents, document) > 0);
}

async function startIfNeeded() {
  if (client === undefined && !isRefused && hasDocument()) await start();
}

async function restartIfNeeded() {
  await stop();
  isRefused = false;
  await startIfNeeded();
}

/** Restarts the server on request of the user, who also sees why it cannot start. */
async function restart() {
  await stop();
  isRefused = false;
  await start();
}

async function start() {
  const setting = vscode.workspace.getConfiguration("tatmig").get("path");
  const program = programOf(setting, os.homedir());
  const problem = await problemOf(program);
  if (problem !== undefined) {
    isRefused = true;
    output.error(problem);
    // Not awaited: the message stays until the user closes it.
    offerInstall(problem);
    return;
  }
  const created = new LanguageClient(
    "tatmig",
    "tatmig",
    { command: program, args: ["lsp"] },
    { documentSelector: selector(), outputChannel: output, middleware: { executeCommand } },
  );
  created.onDidChangeState(({ newState }) => {
    vscode.commands.executeCommand("setContext", "tatmig.isRunning", newState === State.Running);
  });
  client = created;
  await created.start();
}

async function stop() {
  const stopped = client;
  client = undefined;
  await stopped?.dispose();
}

/** A command from the palette is about the document in the active editor. */
function executeCommand(command, args, next) {
  const document = vscode.window.activeTextEditor?.document;
  if (!SERVER_COMMANDS.includes(command) || args.length > 0 || document === undefined) {
    return next(command, args);
  }
  if (vscode.languages.match(selector(), document) === 0) {
    vscode.window.showErrorMessage("tatmig: open the document with the migrations first, or add it to the setting `tatmig.files`");
    return undefined;
  }
  return next(command, [client.code2ProtocolConverter.asUri(document.uri)]);
}

async function offerInstall(problem) {
  const choice = await vscode.window.showErrorMessage(`tatmig: ${problem}`, "How to Install", "Open Settings", "Try Again");
  if (choice === "How to Install") {
    await vscode.env.openExternal(vscode.Uri.parse(INSTALL));
  } else if (choice === "Open Settings") {
    await vscode.commands.executeCommand("workbench.action.openSettings", "tatmig.path");
  } else if (choice === "Try Again") {
    await enqueue(restart);
  }
}

module.exports = { activate, deactivate };
