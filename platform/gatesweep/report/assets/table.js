// The table of all trials: sorted by a click on a head, searched as one types, fifty rows at a time.
"use strict";
(() => {
  const PAGE = 50;
  const root = document.getElementById("trials");
  if (!root) return;
  const find = (name) => root.querySelector(`[data-part=${name}]`);
  const [head, body, search, outcome, back, on, count] =
    ["head", "body", "search", "outcome", "back", "on", "count"].map(find);
  const columns = sweep.columns;
  const number = (column) => !column.levels || column.levels.every((level) => level.trim() !== "" && !Number.isNaN(Number(level)));
  const objective = columns.findIndex((c) => c.group === "objective");
  const state = {column: objective, down: sweep.mode === "max", first: 0};
  let haystack = null;
  let order = [];

  const texts = (row) => columns.map((c) => cellText(c, row) ?? "");

  function matching() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = Array.from({length: sweep.count}, (_, row) => row);
    const ended = columns.find((c) => c.key === "outcome");
    if (words.length && !haystack) haystack = rows.map((row) => texts(row).join("\t").toLowerCase());
    return rows.filter((row) => (!kept.rows || kept.rows.has(row)) && (!outcome.value || cellText(ended, row) === outcome.value)
      && words.every((word) => haystack[row].includes(word)));
  }

  // Trials without a value come last, whichever way the column is sorted; a dimension's choices in the order of the sweep's file.
  function sorted(rows) {
    const column = columns[state.column];
    const ordinal = !column.levels || column.group === "param";
    const cell = ordinal ? (row) => place(column, row) : (row) => cellText(column, row);
    const compare = ordinal ? (a, b) => a - b : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return rows.sort((a, b) => {
      const [x, y] = [cell(a), cell(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return (state.down ? -1 : 1) * compare(x, y) || a - b;
    });
  }

  function element(name, text, classes) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (classes) made.className = classes;
    return made;
  }

  function drawHead() {
    head.replaceChildren(...columns.map((column, place) => {
      const cell = element("th", undefined, number(column) ? "n" : "");
      const here = place === state.column;
      const button = element("button", column.label + (here ? (state.down ? " ▼" : " ▲") : ""));
      button.title = column.key;
      button.addEventListener("click", () => {
        state.down = here ? !state.down : false;
        state.column = place;
        refresh();
      });
      cell.setAttribute("aria-sort", here ? (state.down ? "descending" : "ascending") : "none");
      cell.append(button);
      return cell;
    }));
  }

  function drawBody() {
    body.replaceChildren(...order.slice(state.first, state.first + PAGE).map((row) => {
      const line = element("tr", undefined, row === sweep.best ? "best" : "");
      line.append(...columns.map((column) => {
        const text = cellText(column, row);
        const cell = element("td", text ?? "–", number(column) ? "n" : "");
        if (text === null) cell.title = "no value";
        else if (text.length > 30) cell.title = text;
        if (column.key === "trial" && row === sweep.best) cell.textContent = `★ ${text}`;
        return cell;
      }));
      return line;
    }));
    const last = Math.min(state.first + PAGE, order.length);
    count.textContent = order.length ? `${state.first + 1}–${last} of ${order.length.toLocaleString("en")}` : "no trial matches";
    back.disabled = state.first === 0;
    on.disabled = last >= order.length;
  }

  function refresh() {
    order = sorted(matching());
    state.first = 0;
    drawHead();
    drawBody();
  }

  const turn = (by) => { state.first += by; drawBody(); };
  kept.listeners.push(refresh);
  search.addEventListener("input", refresh);
  outcome.addEventListener("change", refresh);
  back.addEventListener("click", () => turn(-PAGE));
  on.addEventListener("click", () => turn(PAGE));
  refresh();
})();
