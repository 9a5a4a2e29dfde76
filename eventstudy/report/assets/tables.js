"use strict";
// Tables of the page: sorted by a column's head, filtered by a box, long ones folded. Without scripts they are whole.
(() => {
  document.documentElement.classList.add("scripted");
  const FILTERED = 8, FOLDED = 25, SHOWN = 15;
  const words = document.getElementById("results").dataset;
  const plain = value => value.replace(/−/g, "-").replace(/^[<[+]/, "").replace(/^\+/, "");
  const number = value => /^[-\d.]+[%\]]?$/.test(plain(value)) ? Number.parseFloat(plain(value)) : Number.NaN;

  function sort(button) {
    const head = button.parentElement, body = head.closest("table").tBodies[0], column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = row => row.cells[column].textContent.trim();
    body.append(...[...body.rows].sort((a, b) => {
      const x = number(text(a)), y = number(text(b));
      // Numbers by size, and what is no number after them whichever way the rest goes.
      if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
      const order = Number.isNaN(x) ? text(a).localeCompare(text(b)) : x - y;
      return up ? order : -order;
    }));
  }

  function control(box) {
    const table = box.querySelector("table"), rows = () => [...table.tBodies[0].rows], count = rows().length;
    if (count <= FILTERED) return () => {};
    const bar = document.createElement("div"), input = document.createElement("input");
    const said = document.createElement("span"), more = document.createElement("button");
    let folded = count > FOLDED;
    bar.className = "bar";
    input.type = "search";
    input.placeholder = words.filter;
    input.setAttribute("aria-label", `${words.filter} – ${table.caption.textContent}`);
    said.setAttribute("role", "status");
    more.type = "button";
    more.hidden = !folded;
    function show() {
      const asked = input.value.trim().toLowerCase(), fits = row => row.textContent.toLowerCase().includes(asked);
      const kept = rows().filter(fits), cut = folded && !asked;
      for (const row of rows()) row.hidden = true;
      kept.forEach((row, i) => { row.hidden = cut && i >= SHOWN; });
      said.textContent = words.rows.replace("{n}", cut ? SHOWN : kept.length).replace("{m}", count);
      more.textContent = folded ? words.all : words.fewer;
      more.setAttribute("aria-expanded", String(!folded));
    }
    input.addEventListener("input", show);
    more.addEventListener("click", () => { folded = !folded; show(); });
    bar.append(input, said, more);
    box.before(bar);
    show();
    return show;
  }

  for (const box of document.querySelectorAll(".wide")) {
    const show = control(box);
    for (const button of box.querySelectorAll(".sortable th button"))
      button.addEventListener("click", () => { sort(button); show(); });
  }
  // On paper all rows are there.
  addEventListener("beforeprint", () => document.querySelectorAll("tr[hidden]").forEach(row => { row.hidden = false; }));
  // The list of contents is open beside the page, and folded above it where there is no room beside.
  const contents = document.querySelector("nav details"), wide = matchMedia("(min-width: 80rem)");
  const fold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", event => { if (event.target.closest("a") && !wide.matches) contents.open = false; });
})();
