// Opens pages of `--report` in Chromium: what they show, their filters, light and dark, and that
// nothing in them runs or is requested.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { chromium } from "playwright-core";

import { Fleet, HOSTILE_NAMES, mixedFleet, withData } from "./fleet.mjs";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let browser;
let fleet;
let upgradePage;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  fleet = mixedFleet();
  upgradePage = fleet.report(1, "upgrade", "--all-users");
});

after(async () => {
  await browser?.close();
  fleet?.remove();
});

// Opens a page; the test fails if a script fails, is refused, or anything but the page is requested.
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const problems = [];
  page.on("console", (message) => problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("dialog", (dialog) => problems.push(`dialog ${dialog.message()}`));
  page.on("request", (request) => {
    if (request.url() !== url) problems.push(`request ${request.url()}`);
  });
  await page.goto(url);
  page.assertQuiet = async () => {
    assert.deepEqual(problems, []);
    assert.equal(await page.evaluate(() => window.stolen), undefined);
  };
  return page;
}

const openFile = (path, options) => open(pathToFileURL(path).href, options);
const texts = (page, selector) => page.locator(selector).allInnerTexts();

async function screenshot(page, name) {
  if (!process.env.SCREENSHOTS) return;
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
}

test("a page of an upgrade shows the result, the failures, the schema and the SQL", async () => {
  const page = await openFile(upgradePage);
  assert.equal(await page.title(), "tatmig upgrade");
  assert.match(await page.innerText("h1"), /^25 databases: 21 upgraded to 1\.1\.0, 1 already at 1\.1\.0, 3 failed$/);
  assert.match(await page.innerText("header.top"), /failed \(exit status 1\)/);
  assert.match(await page.innerText(".asked"), /^\$ tatmig upgrade --all-users --report page1\.html$/);
  assert.deepEqual(await texts(page, "section > h2"), [
    "25 databases", "Failures by cause", "Databases", "Time for each database", "Schema before and after", "SQL that ran",
  ]);
  const failures = await texts(page, "#failures .card");
  assert.match(failures[0], /UNIQUE constraint failed: tags\.note_id, tags\.tag/);
  assert.match(failures[0], /CREATE UNIQUE INDEX tag_once/);
  assert.match(failures[0], /Rows of grace \(users\/grace\.db\)/);
  assert.match(failures[1], /not a SQLite database/);
  assert.deepEqual(await texts(page, ".table-card.c-added h4"), ["+files"]);
  assert.deepEqual(await texts(page, "li.c-removed .column-name"), ["mood"]);
  assert.equal(await page.locator(".lines path").count(), 2);
  assert.equal(await page.locator("details").count(), 2);
  assert.match(await page.locator("details pre").first().innerText(), /CREATE UNIQUE INDEX tag_once/);
  await screenshot(page, "upgrade-24-light");
  await page.assertQuiet();
});

test("filters narrow the list by state, version, cause and name", async () => {
  const page = await openFile(upgradePage);
  const rows = () => page.locator("table.list tbody tr").count();
  assert.equal(await rows(), 25);
  await page.selectOption("#filter-state", "failed");
  assert.equal(await rows(), 3);
  assert.equal(await page.innerText("#shown"), "3 of 25");
  await page.selectOption("#filter-version", "1.0.0");
  assert.deepEqual(await texts(page, "table.list tbody .name"), ["grace", "heidi"]);
  await page.fill("#filter-name", "HEI");
  assert.deepEqual(await texts(page, "table.list tbody .name"), ["heidi"]);
  await page.click("text=Clear");
  assert.equal(await rows(), 25);
  const causes = await texts(page, "#filter-cause option");
  await page.selectOption("#filter-cause", { index: causes.findIndex((text) => text.startsWith("not a SQLite database")) });
  assert.deepEqual(await texts(page, "table.list tbody .name"), ["broken"]);
  await page.click("#failures .card button >> nth=0");
  assert.deepEqual(await texts(page, "table.list tbody .name"), ["grace", "heidi"]);
  await page.click(".legend >> text=current");
  assert.deepEqual(await texts(page, "table.list tbody .name"), ["user00"]);
  await page.fill("#filter-name", "no such user");
  assert.equal(await rows(), 0);
  assert.equal(await page.innerText("#shown"), "0 of 25");
  await page.assertQuiet();
});

test("the colours follow the system and the switch", async () => {
  const back = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await openFile(upgradePage, { colorScheme: "light" });
  const dark = await openFile(upgradePage, { colorScheme: "dark" });
  const [lightBack, darkBack] = [await back(light), await back(dark)];
  assert.notEqual(lightBack, darkBack);
  await light.click(".switch >> text=dark");
  assert.equal(await back(light), darkBack);
  await light.click(".switch >> text=auto");
  assert.equal(await back(light), lightBack);
  await dark.click(".switch >> text=light");
  assert.equal(await back(dark), lightBack);
  await dark.click(".switch >> text=auto");
  await screenshot(dark, "upgrade-24-dark");
  await light.assertQuiet();
  await dark.assertQuiet();
});

test("hostile names, SQL and rows are text", async () => {
  const page = await openFile(upgradePage);
  const names = await texts(page, "table.list tbody .name");
  for (const name of HOSTILE_NAMES.slice(0, 3).concat(HOSTILE_NAMES.slice(4))) {
    assert.ok(names.includes(name), `${name} in ${names.join(" ")}`);
  }
  assert.ok(names.includes("line\\u{2028}separator\\u{202e}right\\u{2066}"), names.join(" "));
  assert.equal(await page.locator("img").count(), 0);
  assert.equal(await page.locator("script").count(), 2);
  assert.ok((await texts(page, "summary")).some((text) => text.includes("</script><script>window.stolen = 1</script>")));
  assert.ok((await texts(page, ".column-name")).includes("</script>"));
  await page.assertQuiet();
});

test("markup that gets into the page is not run", async () => {
  const page = await openFile(upgradePage);
  const problems = [];
  page.on("console", (message) => problems.push(message.text()));
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.append("window.stolen = 5");
    document.body.append(script);
    const image = document.createElement("img");
    image.src = "http://127.0.0.1:9/x.png";
    document.body.append(image);
    return fetch("http://127.0.0.1:9/").catch(() => {});
  });
  assert.equal(await page.evaluate(() => window.stolen), undefined);
  assert.equal(problems.filter((text) => text.includes("Content Security Policy")).length >= 3, true, problems.join("\n"));
});

test("a page that a server sends requests nothing else", async () => {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push(request.url);
    response.setHeader("content-type", "text/html");
    response.end(request.url === "/page.html" ? readFileSync(upgradePage) : "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const page = await open(`http://127.0.0.1:${server.address().port}/page.html`);
  await page.waitForTimeout(300);
  await page.assertQuiet();
  assert.deepEqual(requests, ["/page.html"]);
  server.close();
});

test("each command has a page of its own", async () => {
  const pages = [
    [["status"], 1, /current.*behind/s, ["Failures by cause", "Pending SQL"]],
    [["verify"], 1, /with findings/, ["Failures by cause"]],
    [["lint"], 0, /0 errors/, ["Problems of MIGRATIONS.md"]],
    [["test"], 1, /problem/, ["Problems of MIGRATIONS.md", "Tested databases"]],
    [["upgrade", "--all-users", "--dry-run"], 1, /to be migrated/, ["Pending SQL"]],
    [["upgrade", "--to", "9.9.9"], 2, /9\.9\.9/, []],
  ];
  for (const [words, status, verdict, sections] of pages) {
    const page = await openFile(fleet.report(status, ...words));
    assert.match(await page.innerText("h1"), verdict, words.join(" "));
    const titles = await texts(page, "section > h2");
    for (const title of sections) assert.ok(titles.includes(title), `${title} of ${words.join(" ")} in ${titles}`);
    await screenshot(page, words.slice(0, 1).concat(String(status)).join("-"));
    await page.assertQuiet();
  }
});

test("a document that cannot be used is shown with its lines", async () => {
  const broken = new Fleet("# Notes\n\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABEL x (y);\n-- [user:baseline→1.0.0:end]\n```\n");
  const page = await openFile(broken.report(2, "upgrade"));
  assert.match(await page.innerText("h1"), /cannot be used \(1 error/);
  assert.match(await page.innerText("#findings .card"), /CREATE TABEL x/);
  await page.assertQuiet();
  broken.remove();
});

test("a page with 100,000 databases opens and filters quickly", async () => {
  const large = withData(upgradePage, (data) => {
    const group = data.groups.find((group) => group.state === "upgraded" && group.scope === "user");
    const digits = (at) => String(at).padStart(6, "0");
    const shared = (at) => [...digits(at)].findIndex((digit, place) => digit !== digits(at - 1)[place]);
    const name = (at) => (at === 0 ? "0u000000" : `${1 + shared(at)}${digits(at).slice(shared(at))}`);
    group.names = Array.from({ length: 100_000 }, (_, at) => `${name(at)}\n`).join("");
    group.count = 100_000;
  });
  const start = Date.now();
  const page = await openFile(large);
  assert.match(await page.innerText("#shown"), /^100,0\d\d of 100,0\d\d$/);
  assert.equal(await page.locator("table.list tbody tr").count(), 25);
  assert.deepEqual((await texts(page, "table.list tbody .name")).slice(0, 5), ["system", "broken", "grace", "heidi", "u000000"]);
  await page.click("text=Show 200 more of 99,980");
  assert.equal(await page.locator("table.list tbody tr").count(), 225);
  await page.fill("#filter-name", "u09999");
  assert.deepEqual((await texts(page, "table.list tbody .name")).slice(0, 2), ["u099990", "u099991"]);
  assert.ok(Date.now() - start < 10_000);
  await screenshot(page, "upgrade-100000-filtered");
  await page.assertQuiet();
});

test("names that are left out are counted", async () => {
  const cut = withData(upgradePage, (data) => {
    const group = data.groups.find((group) => group.state === "upgraded" && group.scope === "user");
    group.left_out = 5;
    group.names = group.names.split("\n").slice(0, group.count - 5).join("\n") + "\n";
  });
  const page = await openFile(cut);
  assert.equal(await page.innerText("#shown"), "20 of 25, and 5 whose names are not in this page");
  assert.match(await page.innerText("#list .notice"), /^5 names of 25 are left out/);
  await page.selectOption("#filter-state", "failed");
  assert.equal(await page.innerText("#shown"), "3 of 25");
  await page.assertQuiet();
});

test("a narrow window shows all of it without scrolling sideways", async () => {
  const page = await openFile(upgradePage, { viewport: { width: 390, height: 800 } });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0);
  await screenshot(page, "upgrade-24-narrow");
  await page.assertQuiet();
});
