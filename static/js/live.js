// What a poll must not do: move the rows that somebody is reading, or read every number aloud.
(function () {
  "use strict";
  var SAY_EVERY = 10000;

  // Rows stay where they are. New ones wait behind a link; those that have left stay, pale, until it is followed.
  function keepRows(html) {
    var shown = document.querySelector("#live table[data-rows]");
    var answer = new DOMParser().parseFromString(html, "text/html");
    var table = answer.querySelector("table[data-rows]");
    if (!shown || !table) return html;
    var body = table.tBodies[0];
    var fresh = new Map(Array.from(body.rows).map(function (row) { return [row.id, row]; }));
    var left = 0;
    var kept = Array.from(shown.tBodies[0].rows).map(function (row) {
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
    body.replaceChildren.apply(body, kept);
    if (fresh.size || left) table.parentNode.before(note(answer, table.dataset.rows, fresh.size, left));
    return answer.body.innerHTML;
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

  function counted(word, count) { return count === 1 ? word.replace(/s$/, "") : word; }

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
    var node = document.querySelector("pre[data-end]");
    return node && { offset: node.dataset.offset, lines: node.children.length };
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

  document.addEventListener("htmx:beforeSwap", function (event) {
    if (isPoll(event) && event.detail.xhr.status === 200) event.detail.serverResponse = keepRows(event.detail.serverResponse);
  });
  document.addEventListener("htmx:afterSettle", tell);
})();
