// The charts: fills the references of figures.py in from the columns, and lets Plotly draw.
"use strict";
const sweep = JSON.parse(document.getElementById("sweep-data").textContent);
const dimension = new Map(sweep.columns.filter((c) => c.group === "param" || c.group === "objective").map((c) => [c.key, c]));

// A cell as a number: a category is its place in the list of levels.
const place = (column, row) => (column.codes || column.values)[row];

const shortNumber = (x) => {
  if (Number.isInteger(x) && Math.abs(x) < 1e15) return String(x);
  const text = Number(x.toPrecision(4));
  return Math.abs(x) < 1e-4 || Math.abs(x) >= 1e9 ? text.toExponential() : String(text);
};

// A cell as a reader sees it; null where the trial has none.
const cellText = (column, row) => {
  const value = place(column, row);
  if (value === null) return null;
  return column.levels ? column.levels[value] : shortNumber(value);
};

// Plotly reads a little HTML in every text: a user's words must not become part of it.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const described = new Map();
function describe(row) {
  if (!described.has(row)) {
    const lines = sweep.columns.filter((c) => ["trial", "objective", "param"].includes(c.group))
      .map((c) => [c, cellText(c, row)]).filter(([, text]) => text !== null)
      .map(([c, text]) => (c.key === "trial" ? `<b>${plain(text)}</b>` : `${plain(c.label)}: ${plain(text.slice(0, 60))}`));
    described.set(row, lines.join("<br>"));
  }
  return described.get(row);
}

function fillColumn(ref, rows) {
  const column = dimension.get(ref.$column);
  return rows[ref.rows].map((row, nth) => {
    let x = place(column, row);
    if (x === null) return ref.missing === undefined ? null : ref.missing;
    if (ref.log) x = Math.log10(x);
    if (ref.clip) x = Math.min(Math.max(x, ref.clip[0]), ref.clip[1]);
    // the golden ratio's multiples spread evenly, and the page looks the same each time
    return ref.jitter ? x + ref.jitter * (2 * ((nth * 0.6180339887) % 1) - 1) : x;
  });
}

function filled(part, rows, colour) {
  if (typeof part === "string") return part.startsWith("var(--") ? colour(part) : part;
  if (Array.isArray(part)) return part.map((x) => filled(x, rows, colour));
  if (part === null || typeof part !== "object") return part;
  if (part.$column !== undefined) return fillColumn(part, rows);
  if (part.$hover !== undefined) return rows[part.$hover].map(describe);
  if (part.$hover_rows !== undefined) return part.$hover_rows.map(describe);
  return Object.fromEntries(Object.entries(part).map(([key, x]) => [key, filled(x, rows, colour)]));
}

function palette() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(name.slice(4, -1)).trim();
}

function dressed(layout, height, colour) {
  const axis = {gridcolor: colour("var(--grid)"), linecolor: colour("var(--grid)"), automargin: true};
  const axes = Object.keys(layout).filter((key) => /^[xy]axis/.test(key));
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, height,
    font: {family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colour("var(--ink)")},
    hoverlabel: {bgcolor: colour("var(--panel)"), bordercolor: colour("var(--quiet)"), align: "left",
      font: {color: colour("var(--ink)")}},
    ...layout,
    margin: {l: 60, r: 16, t: 20, b: 44, ...layout.margin},
    ...Object.fromEntries(axes.map((key) => [key, {...axis, ...layout[key]}])),
  };
}

const drawn = new Map();

function draw(figure) {
  const target = document.getElementById(`chart-${figure.name}`);
  if (figure.dimensions) {
    if (!drawn.has(figure.name)) drawn.set(figure.name, new Parallel(target, figure));
    drawn.get(figure.name).draw();
    return;
  }
  const colour = palette();
  const layout = dressed(filled(figure.layout, figure.rows, colour), figure.height, colour);
  Plotly.react(target, filled(figure.data, figure.rows, colour), layout, {responsive: true, displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d"], displayModeBar: "hover", showSendToCloud: false, plotlyServerURL: ""});
}

// One chart per turn, each after the browser has painted: the page can be read and scrolled while the others are drawn.
const painted = () => new Promise((next) => requestAnimationFrame(() => setTimeout(next)));

async function drawAll() {
  for (const figure of sweep.figures) {
    await painted();
    draw(figure);
  }
  document.documentElement.dataset.drawn = "yes";
}

// MLflow shows the page in a sandboxed frame, where a link within a page is taken for one to another page.
if (self !== top) document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector(link.getAttribute("href")).scrollIntoView();
}));

function printing(on) {
  if (on) document.documentElement.dataset.print = "yes"; else delete document.documentElement.dataset.print;
  if (matchMedia("(prefers-color-scheme: dark)").matches) sweep.figures.forEach(draw);
}

addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
addEventListener("load", drawAll);
