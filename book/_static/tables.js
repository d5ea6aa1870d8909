/* Tables that sort and filter. A table of class numdiff-tools gets a button in each heading and a field above it; without
   this script it is a plain table. Numbers sort as numbers, a dash goes last in either direction, equal rows keep their order. */
(function () {
  "use strict";

  var count = 0;

  function text(cell) {
    return cell.textContent.trim();
  }

  /* A number at the start of a cell, or null. A minus sign may be typographic. */
  function number(value) {
    var found = /^[-\u2212]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.exec(value);
    return found ? parseFloat(found[0].replace("\u2212", "-")) : null;
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

  function shown(table) {
    var rows = Array.prototype.slice.call(table.tBodies[0].rows);
    var visible = rows.filter(function (row) {
      return !row.hidden;
    });
    return visible.length + " of " + rows.length + " rows.";
  }

  function filter(table, words) {
    Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
      var body = Array.prototype.map.call(row.cells, text).join(" \n ").toLowerCase();
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
      filter(table, input.value.toLowerCase().split(/\s+/).filter(Boolean));
      status.textContent = shown(table);
    });
    return status;
  }

  /* The theme names a table of contents that it does not have, and then takes every link on the page for an entry: a link
     to "#method=ghvb" is no selector and raises an error. Name the right one. */
  function mendContents() {
    if (document.querySelector("#pst-page-toc-nav")) document.body.setAttribute("data-bs-target", "#pst-page-toc-nav");
    else document.body.removeAttribute("data-bs-spy");
  }

  function start() {
    mendContents();
    Array.prototype.forEach.call(document.querySelectorAll("table.numdiff-tools"), function (table) {
      if (table.tHead && table.tBodies.length && !table.querySelector(".numdiff-sort")) addButtons(table, addField(table));
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
