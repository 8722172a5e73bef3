// What a poll must not do: move the rows that somebody is reading, or read every number aloud.
(function () {
  "use strict";
  var SAY_EVERY = 10000;

  // Morphing keeps what the reader has opened, ticked, chosen, typed or enlarged, and what is said about the poll.
  if (window.Idiomorph) {
    window.Idiomorph.defaults.callbacks.beforeNodeMorphed = function (node, next) {
      return !(next.nodeType === 1 && isNote(node) && isNote(next));
    };
    window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, node) {
      if (name === "open") return node.tagName !== "DETAILS";
      if (name === "style") return false;
      return !(["value", "checked", "selected"].includes(name) && isTouched(node));
    };
  }

  function isNote(node) { return node.nodeType === 1 && node.hasAttribute("data-live-note"); }

  function isTouched(field) {
    if (field.tagName === "OPTION") {
      var options = Array.from(field.closest("select").options);
      return options.findIndex(function (one) { return one.selected; }) !== Math.max(0, options.findIndex(function (one) { return one.defaultSelected; }));
    }
    return field.value !== field.defaultValue || (field.tagName === "INPUT" && field.checked !== field.defaultChecked);
  }

  // Rows stay where they are. New ones wait behind a link; those that have left stay, pale, until it is followed.
  function keepRows(answer) {
    answer.querySelectorAll("table[data-rows]").forEach(function (table) {
      var shown = document.querySelector('#live table[data-rows="' + table.dataset.rows + '"]');
      if (shown && hasNames(shown) && hasNames(table)) keepRowsOf(shown, table, answer);
    });
  }

  function rowsOf(table) { return Array.from(table.tBodies[0].rows); }

  // Only rows with an id can be told from each other.
  function hasNames(table) { return rowsOf(table).every(function (row) { return row.id; }); }

  function keepRowsOf(shown, table, answer) {
    var fresh = new Map(rowsOf(table).map(function (row) { return [row.id, row]; }));
    var left = 0;
    var kept = rowsOf(shown).map(function (row) {
      var next = fresh.get(row.id);
      fresh.delete(row.id);
      if (!next) {
        left += 1;
        next = answer.importNode(row, true);
        next.classList.add("gone");
      }
      next.classList.toggle("picked", row.classList.contains("picked"));
      return next;
    });
    table.tBodies[0].replaceChildren.apply(table.tBodies[0], kept);
    if (fresh.size || left) table.parentNode.before(note(answer, table.dataset.rows, fresh.size, left));
  }

  function note(page, word, added, left) {
    var parts = [];
    if (added) parts.push(added + " new " + counted(word, added));
    if (left) parts.push(left + " no longer in this list");
    var paragraph = page.createElement("p");
    var link = page.createElement("a");
    paragraph.className = "new-rows";
    link.href = window.location.pathname + window.location.search;
    link.textContent = parts.join(", ") + ": show";
    paragraph.append(link);
    return paragraph;
  }

  function counted(word, count) { return count === 1 ? word.replace(/ies$/, "y").replace(/s$/, "") : word; }

  // Said to screen readers: a status that has changed, and that a log has grown. `data-announce` holds what decides
  // whether it has changed; without a value the text itself does.
  var told = statusOf();
  var log = logOf();
  var unsaid = 0;
  var lastSaid = 0;

  function statusOf() {
    var node = document.querySelector("[data-announce]");
    if (!node) return null;
    var text = node.textContent.replace(/\s+/g, " ").trim();
    return { key: node.dataset.announce || text, text: text };
  }

  function logOf() {
    var node = document.querySelector("pre[data-offset]");
    return node && { offset: node.dataset.offset, lines: node.querySelectorAll(".ln").length };
  }

  function say(text) { document.querySelector("#announce").textContent = text; }

  function tell() {
    var now = statusOf();
    if (now && told && now.key !== told.key) say(now.text);
    told = now;
    tellLines(logOf());
  }

  function tellLines(now) {
    if (now && log) unsaid += now.offset === log.offset ? Math.max(0, now.lines - log.lines) : now.lines;
    log = now;
    if (!unsaid || Date.now() - lastSaid < SAY_EVERY) return;
    say(unsaid + " new " + counted("lines", unsaid));
    unsaid = 0;
    lastSaid = Date.now();
  }

  function isPoll(event) { return event.detail.target && event.detail.target.matches("[data-live]"); }

  // What is no fragment of this page (the form of a sign-in in front of the server) must not take its place.
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (!isPoll(event) || event.detail.xhr.status !== 200) return;
    var answer = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
    event.detail.shouldSwap = Boolean(answer.querySelector("body > #live"));
    event.detail.isError = !event.detail.shouldSwap;
    keepRows(answer);
    event.detail.serverResponse = answer.body.innerHTML;
  });
  document.addEventListener("htmx:afterSettle", tell);
})();
