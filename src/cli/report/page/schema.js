// The schemas before and after the run, as a diagram of tables, and the SQL of the steps.

const MARKS = { same: "", added: "+", changed: "~", removed: "−" };
const MAX_IN_COLUMN = 7;
const SVG = "http://www.w3.org/2000/svg";

function mark(change) {
  return h("span", { class: "mark", title: change === "same" ? null : change }, MARKS[change]);
}

function tableCard(table) {
  const linked = new Set(table.references.flatMap((reference) => reference.columns.map((name) => name.toLowerCase())));
  const columns = table.columns.map((column) =>
    h("li", { class: `column-row c-${column.change}`, "data-column": column.name.toLowerCase() },
      mark(column.change), h("span", { class: "column-name" }, column.name),
      column.is_key && h("span", { class: "key", title: "primary key" }, "PK"),
      linked.has(column.name.toLowerCase()) && h("span", { class: "key", title: "foreign key" }, "FK"),
      h("span", { class: "type" },
        column.definition_before !== undefined && h("s", null, column.definition_before || "no type"),
        column.definition_before !== undefined && " ", column.definition)));
  const objects = table.objects.map((object) =>
    h("li", { class: `object-row c-${object.change}` }, mark(object.change), h("span", { class: "kind" }, object.kind), object.name));
  return h("div", { class: `table-card c-${table.change}`, "data-table": table.name.toLowerCase() },
    h("h4", null, mark(table.change), table.name, table.kind !== "table" && h("span", { class: "kind" }, table.kind)),
    h("ul", null, columns, objects));
}

// The longest way to a table that refers to none, which is the column of the diagram.
function ranksOf(tables) {
  const byName = new Map(tables.map((table) => [table.name.toLowerCase(), table]));
  const ranks = new Map();
  function rank(table, above) {
    if (ranks.has(table)) return ranks.get(table);
    if (above.has(table)) return 0;
    above.add(table);
    const parents = table.references.map((reference) => byName.get(reference.parent.toLowerCase()))
      .filter((parent) => parent !== undefined && parent !== table);
    const value = parents.length === 0 ? 0 : 1 + Math.max(...parents.map((parent) => rank(parent, above)));
    above.delete(table);
    ranks.set(table, value);
    return value;
  }
  tables.forEach((table) => rank(table, new Set()));
  return ranks;
}

function isLinked(table, tables) {
  return table.references.length > 0 || tables.some((other) =>
    other.references.some((reference) => reference.parent.toLowerCase() === table.name.toLowerCase()));
}

function drawDiagram(tables) {
  const linked = tables.filter((table) => isLinked(table, tables));
  const others = tables.filter((table) => !linked.includes(table));
  const ranks = ranksOf(linked);
  const columns = [];
  for (let rank = 0; rank <= Math.max(-1, ...ranks.values()); rank += 1) {
    const members = linked.filter((table) => ranks.get(table) === rank);
    for (let at = 0; at < members.length; at += MAX_IN_COLUMN) columns.push(members.slice(at, at + MAX_IN_COLUMN));
  }
  const lines = document.createElementNS(SVG, "svg");
  lines.setAttribute("class", "lines");
  lines.setAttribute("aria-hidden", "true");
  const canvas = h("div", { class: "canvas" }, lines,
    columns.map((members) => h("div", { class: "rank" }, members.map(tableCard))));
  const diagram = h("div", { class: "diagram" }, columns.length > 0 && canvas,
    others.length > 0 && h("div", { class: "unlinked" }, others.map(tableCard)));
  const redraw = () => drawLines(canvas, lines, linked);
  new ResizeObserver(redraw).observe(canvas);
  return diagram;
}

function drawLines(canvas, lines, tables) {
  const origin = canvas.getBoundingClientRect();
  const cards = new Map([...canvas.querySelectorAll(".table-card")].map((card) => [card.dataset.table, card]));
  lines.replaceChildren();
  lines.setAttribute("width", canvas.scrollWidth);
  lines.setAttribute("height", canvas.scrollHeight);
  for (const table of tables) {
    const child = cards.get(table.name.toLowerCase());
    for (const reference of table.references) {
      const parent = cards.get(reference.parent.toLowerCase());
      if (parent === undefined) continue;
      const rows = [...child.querySelectorAll(".column-row")];
      const row = rows.find((item) => item.dataset.column === reference.columns[0]?.toLowerCase()) ?? child;
      const start = parent.querySelector("h4").getBoundingClientRect();
      const end = row.getBoundingClientRect();
      const isRight = end.left >= start.right;
      const from = { x: (isRight ? start.right : start.left) - origin.left, y: start.top + start.height / 2 - origin.top };
      const to = { x: end.left - origin.left, y: end.top + end.height / 2 - origin.top };
      const bend = isRight ? Math.max(24, (to.x - from.x) / 2) : -32;
      const path = document.createElementNS(SVG, "path");
      const endBend = isRight ? -bend : -32;
      path.setAttribute("d", `M ${from.x} ${from.y} C ${from.x + bend} ${from.y}, ${to.x + endBend} ${to.y}, ${to.x} ${to.y}`);
      path.setAttribute("class", `c-${reference.change}`);
      const dot = document.createElementNS(SVG, "circle");
      for (const [name, value] of Object.entries({ cx: to.x, cy: to.y, r: 3, class: `c-${reference.change}` })) dot.setAttribute(name, value);
      lines.append(path, dot);
    }
  }
}

function schemas() {
  const diagrams = data.document.diagrams.filter((diagram) => diagram.tables.length > 0);
  if (diagrams.length === 0) return null;
  const place = h("div");
  let current = 0;
  let onlyChanged = null;
  const picker = h("select", { id: "schema", "aria-label": "Schema", onchange: () => {
    current = Number(picker.value);
    onlyChanged = null;
    show();
  } }, diagrams.map((diagram, index) =>
    h("option", { value: String(index) }, `${diagram.scope}: ${diagram.from} → ${diagram.to}` +
      (diagram.databases === null ? "" : ` (${plural(diagram.databases, "database")})`))));
  const toggle = h("input", { type: "checkbox", id: "only-changed", onchange: () => {
    onlyChanged = toggle.checked;
    show();
  } });
  function show() {
    const { tables, left_out: leftOut } = diagrams[current];
    const changed = tables.filter((table) => table.change !== "same");
    const parents = new Set(changed.flatMap((table) => table.references.map((reference) => reference.parent.toLowerCase())));
    const nearby = tables.filter((table) => table.change !== "same" || parents.has(table.name.toLowerCase()));
    onlyChanged ??= changed.length > 0 && tables.length > 12;
    toggle.checked = onlyChanged;
    toggle.parentElement.hidden = nearby.length === tables.length || changed.length === 0;
    const shown = onlyChanged ? nearby : tables;
    const hidden = tables.length - shown.length + leftOut;
    place.replaceChildren(
      h("p", { class: "dim" }, changed.length === 0 ? "No table changes." : `${plural(changed.length, "table")} changed.`,
        hidden > 0 && ` ${plural(hidden, "unchanged table")} not shown.`),
      drawDiagram(shown));
  }
  const label = h("label", null, toggle, " only changed tables and their parents");
  const legend = h("span", { class: "dim marks" }, ["added", "changed", "removed"].map((change) =>
    h("span", { class: `c-${change} swatch` }, `${MARKS[change]} ${change}`)));
  show();
  return section("schema", "Schema before and after", h("div", { class: "filters" }, picker, label, legend), place);
}

function steps() {
  const { steps: list, steps_left_out: leftOut } = data.document;
  if (list.length === 0) return null;
  const items = list.map((step) => h("details", { open: list.length <= 3 },
    h("summary", null, h("b", null, `${step.from} → ${step.to}`), h("span", { class: "scope" }, step.scope),
      h("span", { class: "title" }, step.description ?? step.title ?? ""),
      h("span", { class: "dim" }, plural(step.databases, "database"), step.line && ` · ${data.run.file}:${step.line}`)),
    step.sql !== null ? h("pre", null, step.sql)
      : h("p", { class: "dim" }, step.is_left_out
        ? `This block is left out to keep this page small; it begins in line ${step.line} of ${data.run.file}.`
        : "No block for this scope: recorded in the history only.")));
  return section("sql", data.have_run ? "SQL that ran" : "Pending SQL",
    h("p", { class: "dim" }, data.have_run
      ? "Each step once; a database ran those from its version on, in one transaction."
      : "Each step once; a database needs those from its version on."), items,
    leftOut > 0 && h("p", { class: "notice" }, `${plural(leftOut, "step")} more; \`tatmig history\` lists all.`));
}
