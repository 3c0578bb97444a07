"use strict";
// Search, filters and order of the table of matches. Without script it is a plain table, all shown.
(() => {
  const tools = document.getElementById("tools");
  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0];
  const status = document.getElementById("shown");
  const rows = Array.from(body.rows, (row, place) => ({
    row,
    place,
    ...row.dataset,
    match: `${row.dataset.candidate}\n${row.dataset.baseline}`.toLowerCase(),
    text: `${row.textContent} ${row.dataset.more}`.toLowerCase(),
  }));
  const headings = Array.from(table.querySelectorAll("th[data-key]"));
  const numbers = new Set(["elo", "pairs"]);

  const value = (name) => tools.elements[name]?.value ?? "";

  function fits(one) {
    const day = one.date.slice(0, 10);
    const net = value("net");
    return (
      value("q").toLowerCase().split(/\s+/).every((word) => one.text.includes(word)) &&
      (!value("outcome") || one.outcome === value("outcome")) &&
      (!net || one.candidate === net || one.baseline === net) &&
      (!value("kind") || one.kind === value("kind")) &&
      (!value("from") || day >= value("from")) &&
      (!value("to") || (day !== "" && day <= value("to")))
    );
  }

  // What has no figure comes last in either order; equals stay as the page has them.
  function compare(key, sign) {
    return (a, b) => {
      if (a[key] === b[key]) return a.place - b.place;
      if (a[key] === "" || b[key] === "") return a[key] === "" ? 1 : -1;
      const less = numbers.has(key) ? Number(a[key]) < Number(b[key]) : a[key] < b[key];
      return less ? -sign : sign;
    };
  }

  function show() {
    const [key, order] = value("order").split(" ");
    rows.sort(compare(key, order === "descending" ? -1 : 1));
    let shown = 0;
    for (const one of rows) {
      one.row.hidden = !fits(one);
      shown += one.row.hidden ? 0 : 1;
    }
    body.append(...rows.map((one) => one.row));
    for (const heading of headings) {
      if (heading.dataset.key === key) heading.setAttribute("aria-sort", order);
      else heading.removeAttribute("aria-sort");
    }
    status.textContent =
      shown === rows.length ? `${shown} shown` : `${shown} of ${rows.length} shown`;
    remember();
  }

  // What is chosen stands in the address, so that it can be sent and survives a reload.
  function remember() {
    const chosen = new URLSearchParams();
    for (const field of tools.elements) {
      const usual = field.name === "order" ? "date descending" : "";
      if (field.name && field.value !== usual) chosen.set(field.name, field.value);
    }
    const hash = chosen.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  function recall() {
    for (const [name, chosen] of new URLSearchParams(location.hash.slice(1))) {
      const field = tools.elements[name];
      if (!(field instanceof HTMLElement) || !("value" in field)) continue;
      const before = field.value;
      field.value = chosen;
      if (field.tagName === "SELECT" && field.selectedIndex < 0) field.value = before;
    }
  }

  for (const heading of headings) {
    const { key } = heading.dataset;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const first = key === "match" || key === "outcome" ? "ascending" : "descending";
      const second = first === "ascending" ? "descending" : "ascending";
      const again = value("order") === `${key} ${first}`;
      tools.elements.order.value = `${key} ${again ? second : first}`;
      show();
    });
  }
  tools.addEventListener("input", show);
  tools.addEventListener("reset", () => setTimeout(show));
  tools.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    recall();
    show();
  });
  tools.hidden = false;
  recall();
  show();
})();
