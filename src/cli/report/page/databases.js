// The databases: by version, by shape, and a list with filters.

const FIRST_ROWS = 25;
const MORE_ROWS = 200;
const groups = data.groups;
const total = groups.reduce((sum, group) => sum + group.count, 0);
const NO_VERSION = "unknown";
const filters = { name: "", state: "", version: "", cause: "" };
let showList = () => {};

function versionOf(group) {
  return group.version ?? NO_VERSION;
}

function setFilters(changes) {
  Object.assign(filters, { name: "", state: "", version: "", cause: "" }, changes);
  showList();
  document.getElementById("list").scrollIntoView({ block: "start" });
}

// The sum of counts by a key, as a map.
function countBy(items, key) {
  const counts = new Map();
  for (const group of items) counts.set(key(group), (counts.get(key(group)) ?? 0) + group.count);
  return counts;
}

// Newest first, with unknown versions last.
function compareVersions(left, right) {
  if (left === NO_VERSION || right === NO_VERSION) return (left === NO_VERSION) - (right === NO_VERSION);
  return right.localeCompare(left, "en", { numeric: true });
}

function overview() {
  if (total === 0) return null;
  const counts = countBy(groups, (group) => group.state);
  const legend = stateOrder.filter((state) => counts.has(state)).map((state) =>
    h("button", { class: "legend", type: "button", onclick: () => setFilters({ state }) },
      stateTag(state), h("b", null, numbers.format(counts.get(state))),
      h("span", { class: "dim" }, formatShare(counts.get(state), total))));
  return section("progress", plural(total, "database"),
    h("div", { class: "large" }, stackedBar(counts, total, data.verdict)),
    h("div", { class: "legends" }, legend));
}

function durations() {
  const { counts, sum, slowest } = data.durations;
  const count = counts.reduce((left, right) => left + right, 0);
  if (count === 0) return null;
  const first = counts.findIndex((bucket) => bucket > 0);
  const last = counts.length - 1 - [...counts].reverse().findIndex((bucket) => bucket > 0);
  const from = Math.max(0, first - 1);
  const to = Math.min(counts.length - 1, last + 1);
  const highest = Math.max(...counts);
  const columns = counts.slice(from, to + 1).map((bucket, at) => {
    const bound = data.bounds[from + at];
    const label = bound === undefined ? `> ${formatSeconds(data.bounds.at(-1))}` : `≤ ${formatSeconds(bound)}`;
    const column = h("span", { class: "column" });
    column.style.height = `${bucket === 0 ? 0 : Math.max(2, (100 * bucket) / highest)}%`;
    return h("div", { class: "slot", title: `${label}: ${plural(bucket, "database")}` },
      h("span", { class: "value" }, bucket === 0 ? "" : numbers.format(bucket)),
      h("div", { class: "space" }, column), h("span", { class: "dim" }, label));
  });
  const rows = slowest.map((database) =>
    h("tr", null, h("td", { class: "name" }, database.name),
      h("td", { class: "number" }, formatSeconds(database.seconds))));
  return section("durations", "Time for each database",
    h("p", { class: "dim" }, `From the lock to the commit; ${formatSeconds(sum / count)} on average.`),
    h("div", { class: "split" },
      h("div", { class: "histogram", role: "img", "aria-label": "Histogram of durations" }, columns),
      h("table", { class: "compact" }, h("caption", null, "Slowest"), h("tbody", null, rows))));
}

// The help without the rows, which are listed above it.
function withoutRows({ help, rows }) {
  return rows.length > 0 ? help.replace(`${rows.join(", ")}; `, "") : help;
}

function failures() {
  if (data.causes.length === 0) return null;
  const order = data.causes.map((cause, index) => ({ cause, index }));
  order.sort((left, right) => right.cause.count - left.cause.count);
  const cards = order.map(({ cause, index }) =>
    h("article", { class: "card" },
      h("header", null,
        h("h3", null, prose(cause.message)), cause.rule && h("code", { class: "rule" }, cause.rule),
        h("button", { type: "button", onclick: () => setFilters({ cause: String(index) }) },
          plural(cause.count, "database"))),
      cause.excerpt && h("pre", { class: "excerpt" }, cause.excerpt),
      !cause.excerpt && cause.position && h("p", null, h("code", null, cause.position)),
      cause.rows.length > 0 && h("div", null,
        h("p", { class: "dim" }, `Rows of ${cause.first}`),
        h("pre", null, cause.rows.join("\n"))),
      cause.help && h("p", { class: "help" }, prose(withoutRows(cause))),
      cause.rows.length === 0 && h("p", { class: "dim" }, `First: ${cause.first}`)));
  return section("failures", "Failures by cause", cards);
}

// A table of what databases have in common, with a bar for the states of each row.
function breakdown(title, key, label, order, filter) {
  const rows = new Map();
  for (const group of groups) {
    const row = rows.get(key(group)) ?? { group, count: 0, states: new Map() };
    row.count += group.count;
    row.states.set(group.state, (row.states.get(group.state) ?? 0) + group.count);
    rows.set(key(group), row);
  }
  const sorted = [...rows.entries()].sort(order);
  const shown = sorted.slice(0, 20).map(([name, row]) =>
    h("tr", null,
      h("td", null, h("button", { class: "link", type: "button", onclick: () => setFilters(filter(row.group)) }, label(name, row))),
      h("td", { class: "number" }, numbers.format(row.count)),
      h("td", { class: "wide" }, stackedBar(row.states, row.count, `${row.count} databases`))));
  const more = sorted.length - shown.length;
  return h("div", null, h("table", { class: "compact" }, h("caption", null, title), h("tbody", null, shown)),
    more > 0 && h("p", { class: "dim" }, `and ${numbers.format(more)} more; the list below has all`));
}

function shapeOf(group) {
  return [group.scope, group.state, group.before, group.version, group.detail, group.cause].join("\n");
}

function describeShape({ group }) {
  const versions = group.before ? `${group.before} → ${group.version}` : versionOf(group);
  const rest = group.cause === null ? group.detail : data.causes[group.cause].message.split("\n")[0];
  return h("span", { class: "shape", title: rest || null }, stateTag(group.state),
    group.scope === "system" && "system ", versions, rest && h("span", { class: "dim" }, ` ${rest}`));
}

function databases() {
  if (total === 0) return null;
  const byCount = ([, left], [, right]) => right.count - left.count;
  const byVersion = ([left], [right]) => compareVersions(left, right);
  return section("databases", "Databases",
    h("div", { class: "split" },
      breakdown("By version", versionOf, (name) => name, byVersion,
        (group) => ({ version: versionOf(group) })),
      breakdown("By shape", shapeOf, (_, row) => describeShape(row), byCount,
        (group) => ({ state: group.state, version: versionOf(group), cause: group.cause === null ? "" : String(group.cause) }))),
    list());
}

function select(name, all, options) {
  const element = h("select", { id: `filter-${name}`, "aria-label": name, onchange: () => {
    filters[name] = element.value;
    showList();
  } }, h("option", { value: "" }, all), options.map(([value, label]) => h("option", { value }, label)));
  return element;
}

function list() {
  const leftOut = groups.reduce((sum, group) => sum + group.left_out, 0);
  const rows = groups.flatMap((group) =>
    decodeNames(group.names).map((name) => ({ name, lower: name.toLowerCase(), group })));
  // The system database, then what needs attention.
  const rank = (row) => (row.group.scope === "system" ? 0 : STATES[row.group.state] === "bad" ? 1 : 2);
  rows.sort((left, right) => rank(left) - rank(right) || (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
  const states = countBy(groups, (group) => group.state);
  const versions = countBy(groups, versionOf);
  const search = h("input", { type: "search", id: "filter-name", placeholder: "Name", "aria-label": "Name", oninput: () => {
    filters.name = search.value;
    showList();
  } });
  const selects = {
    state: select("state", "All states", stateOrder.filter((state) => states.has(state))
      .map((state) => [state, `${state} (${numbers.format(states.get(state))})`])),
    version: select("version", "All versions", [...versions.keys()].sort(compareVersions)
      .map((version) => [version, `${version} (${numbers.format(versions.get(version))})`])),
    cause: data.causes.length > 0 && select("cause", "All causes", data.causes.map((cause, index) =>
      [String(index), `${shortened(cause.message)} (${numbers.format(cause.count)})`])),
  };
  const summary = h("p", { class: "dim", id: "shown", "aria-live": "polite" });
  const body = h("tbody");
  const more = h("button", { type: "button", class: "more", onclick: () => addRows() });
  let found = [];
  let shown = 0;
  function addRows() {
    const next = found.slice(shown, shown + (shown === 0 ? FIRST_ROWS : MORE_ROWS));
    body.append(...next.map(databaseRow));
    shown += next.length;
    more.hidden = shown >= found.length;
    more.textContent = `Show ${numbers.format(Math.min(MORE_ROWS, found.length - shown))} more of ${numbers.format(found.length - shown)}`;
  }
  showList = () => {
    const name = filters.name.toLowerCase();
    const matches = new Set(groups.filter((group) =>
      (filters.state === "" || group.state === filters.state) &&
      (filters.version === "" || versionOf(group) === filters.version) &&
      (filters.cause === "" || String(group.cause) === filters.cause)));
    found = rows.filter((row) => matches.has(row.group) && row.lower.includes(name));
    search.value = filters.name;
    for (const [key, element] of Object.entries(selects)) if (element) element.value = filters[key];
    const hidden = [...matches].reduce((sum, group) => sum + group.left_out, 0);
    summary.textContent = hidden === 0
      ? `${numbers.format(found.length)} of ${numbers.format(total)}`
      : `${numbers.format(found.length)} of ${numbers.format(total)}, and ${numbers.format(hidden)} whose names are not in this page`;
    body.replaceChildren();
    shown = 0;
    addRows();
  };
  showList();
  return h("div", { id: "list" },
    h("div", { class: "filters" }, search, selects.state, selects.version, selects.cause || null,
      h("button", { type: "button", onclick: () => { setFilters({}); } }, "Clear"), summary),
    leftOut > 0 && h("p", { class: "notice" },
      `${plural(leftOut, "name")} of ${numbers.format(total)} are left out to keep this page small; they are counted above, and \`--json\` lists all.`),
    h("table", { class: "list" },
      h("thead", null, h("tr", null, ["Name", "Version", "State", "Details"].map((title) => h("th", { scope: "col" }, title)))),
      body), more);
}

function shortened(message) {
  const line = message.split("\n")[0];
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

function databaseRow({ name, group }) {
  const cause = group.cause === null ? null : data.causes[group.cause];
  return h("tr", null,
    h("td", { class: "name" }, name, group.scope === "system" && name !== "system" && h("span", { class: "dim" }, " system")),
    h("td", { class: "version" }, group.before ? `${group.before} → ${group.version}` : versionOf(group)),
    h("td", null, stateTag(group.state)),
    h("td", { class: "detail", title: cause ? cause.message : group.detail || null }, cause ? cause.message.split("\n")[0] : group.detail));
}
