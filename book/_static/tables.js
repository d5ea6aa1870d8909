/* Tables that sort and filter. A table of class numdiff-tools gets a button in each heading and a field above it; without
   this script it is a plain table. Numbers sort as numbers, a dash goes last in either direction, equal rows keep their order. */
(function () {
  "use strict";

  var count = 0;

  function text(cell) {
    return cell.textContent.trim();
  }

  function plain(words) {
    return words.replace(/\u2212/g, "-");
  }

  /* The number that a whole cell is, or null. A minus sign may be typographic. */
  function number(value) {
    var found = /^[-\u2212]?(\d+\.?\d*|\.\d+)(e[-+\u2212]?\d+)?$/i.exec(value);
    return found ? parseFloat(plain(found[0])) : null;
  }

  function missing(value) {
    return value === "" || value === "\u2013" || value === "-";
  }

  function compare(a, b) {
    var x = number(a), y = number(b);
    if (x !== null && y !== null) return x - y;
    if (x !== null || y !== null) return x !== null ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true, sensitivity: "base" });
  }

  function sortBy(table, column, direction) {
    var body = table.tBodies[0];
    var rows = Array.prototype.map.call(body.rows, function (row, index) {
      return { row: row, key: text(row.cells[column]), index: index };
    });
    rows.sort(function (a, b) {
      if (missing(a.key) !== missing(b.key)) return missing(a.key) ? 1 : -1;
      return direction * compare(a.key, b.key) || a.index - b.index;
    });
    rows.forEach(function (entry) {
      body.appendChild(entry.row);
    });
  }

  function addButtons(table, status) {
    var headings = Array.prototype.slice.call(table.tHead.rows[0].cells);
    headings.forEach(function (heading, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.className = "numdiff-sort";
      button.textContent = text(heading);
      heading.textContent = "";
      heading.appendChild(button);
      button.addEventListener("click", function () {
        var down = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach(function (other) {
          other.removeAttribute("aria-sort");
        });
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        sortBy(table, column, down ? -1 : 1);
        status.textContent = "Sorted by " + button.textContent + (down ? ", descending. " : ", ascending. ") + shown(table);
      });
    });
  }

  /* What to say where nothing is left, after the table's own words if it has some. */
  function none(table) {
    var own = table.closest("[data-none]");
    return " No row matches" + (own ? "; " + own.getAttribute("data-none") : "") + ".";
  }

  function shown(table) {
    var rows = Array.prototype.slice.call(table.tBodies[0].rows);
    var visible = rows.filter(function (row) {
      return !row.hidden;
    });
    return visible.length + " of " + rows.length + " rows." + (visible.length ? "" : none(table));
  }

  /* All that a row can be found by: its cells, and names that they do not show. */
  function searched(row) {
    var names = Array.prototype.map.call(row.querySelectorAll("[data-search]"), function (element) {
      return element.getAttribute("data-search");
    });
    return plain(Array.prototype.map.call(row.cells, text).concat(names).join(" \n ").toLowerCase());
  }

  function filter(table, words) {
    Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
      var body = searched(row);
      row.hidden = !words.every(function (word) {
        return body.indexOf(word) >= 0;
      });
    });
  }

  function addField(table) {
    var box = document.createElement("div"), label = document.createElement("label");
    var input = document.createElement("input"), status = document.createElement("p");
    count += 1;
    box.className = "numdiff-filter";
    input.type = "search";
    input.id = "numdiff-filter-" + count;
    input.autocomplete = "off";
    input.spellcheck = false;
    label.htmlFor = input.id;
    label.textContent = "Rows with";
    status.setAttribute("role", "status");
    status.setAttribute("aria-live", "polite");
    status.textContent = shown(table);
    box.appendChild(label);
    box.appendChild(input);
    box.appendChild(status);
    var region = table.closest(".numdiff-scroll") || table;
    region.parentNode.insertBefore(box, region);
    input.addEventListener("input", function () {
      filter(table, plain(input.value.toLowerCase()).split(/\s+/).filter(Boolean));
      status.textContent = shown(table);
    });
    return status;
  }

  /* Mark a table that goes on to the right of what is in sight. */
  function hint(table) {
    var region = table.closest(".numdiff-scroll");
    if (!region) return;
    function look() {
      var left = region.scrollWidth - region.clientWidth - region.scrollLeft;
      region.classList.toggle("numdiff-more-right", left > 2);
    }
    region.addEventListener("scroll", look, { passive: true });
    if (window.ResizeObserver) new ResizeObserver(look).observe(region);
    look();
  }

  /* The theme names a table of contents that it does not have, and then takes every link on the page for an entry: a link
     to "#m=ghvb" is no selector and raises an error. Name the right one. */
  function mendContents() {
    if (document.querySelector("#pst-page-toc-nav")) document.body.setAttribute("data-bs-target", "#pst-page-toc-nav");
    else document.body.removeAttribute("data-bs-spy");
  }

  function start() {
    mendContents();
    Array.prototype.forEach.call(document.querySelectorAll("table.numdiff-tools"), function (table) {
      if (!table.tHead || !table.tBodies.length || table.querySelector(".numdiff-sort")) return;
      addButtons(table, addField(table));
      hint(table);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
