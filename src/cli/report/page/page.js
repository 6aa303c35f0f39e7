// The page from top to bottom.

const THEMES = ["auto", "light", "dark"];

function themeSwitch() {
  const buttons = THEMES.map((theme) => h("button", { type: "button", "aria-pressed": theme === "auto" ? "true" : "false", onclick: () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", THEMES[at] === theme ? "true" : "false"));
  } }, theme));
  return h("div", { class: "switch", role: "group", "aria-label": "Colours" }, buttons);
}

function top() {
  const { run } = data;
  const tone = run.exit_status === 0 ? "good" : run.exit_status === 3 ? "wait" : "bad";
  const words = {
    0: "succeeded", 1: "failed", 2: "did nothing: wrong usage or a document that cannot be used", 3: "succeeded; something is pending",
  };
  const ending = words[run.exit_status] ?? `ended by signal ${run.exit_status - 128}`;
  const facts = [
    ["Started", `${run.start} UTC`],
    ["Took", formatSeconds(run.seconds)],
    ["Result", `${ending} (exit status ${run.exit_status})`],
    ["Document", run.head ? `${run.file}, head ${run.head}` : run.file],
    data.target && data.target !== run.head && ["Target", data.target],
    ["By", `tatmig ${run.version}, SQLite ${run.sqlite}`],
  ].filter(Boolean);
  return h("header", { class: "top" },
    h("div", { class: "line" }, h("p", { class: "command" }, `tatmig ${run.command}`), themeSwitch()),
    h("h1", { class: `verdict ${tone}` }, data.verdict.replace(/\b\d{4,}(?= [a-z])/g, (count) => numbers.format(count))),
    h("dl", null, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))),
    h("pre", { class: "asked" }, `$ ${run.command_line}`),
    data.notices.map((notice) => h("p", { class: "notice" }, prose(notice))));
}

function findings() {
  if (data.findings.length === 0) return null;
  const severities = ["error", "warning", "note"];
  data.findings.sort((left, right) => severities.indexOf(left.severity) - severities.indexOf(right.severity));
  const place = h("div");
  const count = h("p", { class: "dim", "aria-live": "polite" });
  const chosen = { severity: "", rule: "" };
  const choices = (name, label) => {
    const values = [...new Set(data.findings.map((finding) => finding[name]))];
    const element = h("select", { id: `finding-${name}`, "aria-label": name, onchange: () => {
      chosen[name] = element.value;
      show();
    } }, h("option", { value: "" }, label), values.map((value) => h("option", { value }, value)));
    return element;
  };
  function show() {
    const found = data.findings.filter((finding) =>
      Object.entries(chosen).every(([name, value]) => value === "" || finding[name] === value));
    count.textContent = `${numbers.format(found.length)} of ${numbers.format(data.findings.length + data.findings_left_out)}`;
    place.replaceChildren(...found.map((finding) => h("article", { class: `card f-${finding.severity}` },
      h("header", null, h("span", { class: `severity f-${finding.severity}` }, finding.severity),
        h("h3", null, prose(finding.message)), h("code", { class: "rule" }, finding.rule)),
      finding.excerpt ? h("pre", { class: "excerpt" }, finding.excerpt) : h("p", null, h("code", null, finding.position)),
      finding.help && h("p", { class: "help" }, prose(finding.help)),
      finding.databases && h("p", { class: "dim" }, `Databases: ${finding.databases}`))));
  }
  const bar = h("div", { class: "filters" }, choices("severity", "All severities"), choices("rule", "All rules"), count);
  show();
  return section("findings", `Problems of ${data.run.file}`, bar,
    data.findings_left_out > 0 && h("p", { class: "notice" },
      `${plural(data.findings_left_out, "problem")} more; \`--json\` lists all.`), place);
}

function scenarios() {
  if (data.scenarios.length === 0 && data.gaps.length === 0) return null;
  const rows = data.scenarios.map((scenario) => h("tr", null,
    h("td", null, h("span", { class: `state ${scenario.passed ? "s-matches" : "s-failed"}` }, scenario.passed ? "passed" : "failed")),
    h("td", { class: "number" }, numbers.format(scenario.databases)), h("td", null, prose(scenario.text))));
  return section("scenarios", "Tested databases",
    h("table", { class: "list" }, h("thead", null, h("tr", null,
      ["Result", "Databases", "Filled with rows at, and upgraded"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", null, rows)),
    data.gaps.length > 0 && h("h3", null, "Not tested"),
    data.gaps.length > 0 && h("ul", { class: "gaps" }, data.gaps.map((gap) => h("li", null, prose(gap)))));
}

append(document.getElementById("page"), [
  top(), overview(), findings(), failures(), scenarios(), databases(), durations(), schemas(), steps(),
]);
