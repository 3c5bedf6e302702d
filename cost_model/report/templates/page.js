"use strict";
// Tables sort by a click on a column's head: numbers by value, and what is unknown last either way.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = head.classList.contains("number");
      const key = (row) => row.cells[at].dataset.key;
      const rows = [...body.rows].sort((one, other) => {
        const a = key(one), b = key(other);
        if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
        const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}
// What a mark of a picture stands for is shown when a pointer rests on it.
for (const mark of document.querySelectorAll("svg [aria-label][role='graphics-symbol']")) {
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = mark.getAttribute("aria-label");
  mark.append(title);
}
