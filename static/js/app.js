// Keys, copy buttons, ticks, the end of a log. Every page works without this file.
(function () {
  "use strict";

  function addCopyButtons(root) {
    root.querySelectorAll("[data-copy]:not([data-copy-ready])").forEach(function (box) {
      box.setAttribute("data-copy-ready", "");
      var button = document.createElement("button");
      button.type = "button";
      button.className = "btn small";
      button.textContent = "Copy";
      button.addEventListener("click", function () { copy(box, button); });
      box.appendChild(button);
    });
  }

  function copy(box, button) {
    var source = box.querySelector("pre, code, input");
    var text = source.value || source.textContent;
    navigator.clipboard.writeText(text).then(
      function () { button.textContent = "Copied"; window.setTimeout(function () { button.textContent = "Copy"; }, 2000); },
      function () { button.textContent = "Select and copy by hand"; }
    );
  }

  // Keys: none acts, at most a key opens a page. Those of links stand at the link, as data-key.
  var places = { w: "/workflows/", o: "/operations/", e: "/executors/", a: "/audit/" };
  var links = {
    n: "a[rel=next]", b: "a[rel=prev]", "[": "a[data-key=older]", "]": "a[data-key=newer]", Enter: "tr.picked a",
    ArrowLeft: "a[data-key=left]", ArrowRight: "a[data-key=right]", "+": "a[data-key=plus]", "-": "a[data-key=minus]"
  };
  var goPending = 0;

  function rows() { return Array.prototype.slice.call(document.querySelectorAll("table.list[data-rows] tbody tr")); }

  function moveRow(step) {
    var all = rows();
    if (!all.length) return;
    var at = all.findIndex(function (row) { return row.classList.contains("picked"); });
    var next = Math.max(0, Math.min(all.length - 1, at + step));
    all.forEach(function (row) { row.classList.remove("picked"); });
    all[next].classList.add("picked");
    all[next].scrollIntoView({ block: "nearest" });
  }

  function tickRow() {
    var box = document.querySelector("tr.picked input[type=checkbox]");
    if (box) box.checked = !box.checked;
  }

  function press(selector) {
    var found = document.querySelector(selector);
    if (found) found.click();
    return Boolean(found);
  }

  function focusFilter(event) {
    var filter = document.querySelector("form.filters input:not([type=hidden]), form.filters select, form.filters summary");
    if (filter) { event.preventDefault(); filter.focus(); }
  }

  // The same facts as a table, where there is a picture.
  function showTable() {
    var table = document.querySelector("[data-table]");
    if (!table) return;
    if (table.tagName === "DETAILS") table.open = true;
    table.setAttribute("tabindex", "-1");
    table.focus();
    table.scrollIntoView({ block: "start" });
  }

  // To the top or the end of what is shown of a log; once there, to the beginning or the end of the log.
  function goToEdge(place) {
    var log = document.querySelector("pre.log");
    if (!log) return;
    var before = log.scrollTop;
    log.scrollTop = place === "end" ? log.scrollHeight : 0;
    if (log.scrollTop === before) press("a[data-key=" + place + "]");
  }

  var acts = {
    "/": function (event) { event.preventDefault(); document.querySelector("#search-box").focus(); },
    "?": function () { var help = document.querySelector("#key-help"); if (help) help.showModal(); },
    j: function () { moveRow(1); },
    k: function () { moveRow(-1); },
    x: tickRow,
    f: focusFilter,
    p: function () { press("[data-live-pause]"); },
    t: showTable,
    G: function () { goToEdge("end"); }
  };

  function goTo(key) {
    goPending = 0;
    if (key === "g") goToEdge("top");
    else if (places[key]) window.location.assign(places[key]);
    else return false;
    return true;
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    var key = event.key;
    if (goPending && Date.now() - goPending < 1500 && goTo(key)) return;
    goPending = key === "g" ? Date.now() : 0;
    if (acts[key]) acts[key](event);
    else if (links[key]) press(links[key]);
    else if (/^[a-zA-Z1-9]$/.test(key)) press('a[data-key="' + key + '"]');
  }

  document.addEventListener("click", function (event) {
    var all = event.target.closest("[data-tick-all]");
    if (all) document.querySelectorAll("input[name=job]").forEach(function (box) { box.checked = all.checked; });
    if (event.target.closest("[data-open-keys]")) document.querySelector("#key-help").showModal();
    document.querySelectorAll("details.menu-box[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.removeAttribute("open");
    });
  });

  // The end of a log is what one comes for; it stays in sight while one has not scrolled away.
  function logs() { return Array.from(document.querySelectorAll("pre[data-end]")); }
  function isAtEnd(log) { return log.scrollHeight - log.scrollTop - log.clientHeight < 40; }
  var left = new WeakSet(window.location.hash ? logs() : []);
  function showEnds() {
    logs().forEach(function (log) { if (!left.has(log)) log.scrollTop = log.scrollHeight; });
  }
  document.addEventListener("htmx:beforeSwap", function () {
    logs().forEach(function (log) { if (isAtEnd(log)) left.delete(log); else left.add(log); });
  });
  document.addEventListener("htmx:afterSettle", showEnds);
  showEnds();

  // What happens now stands at the right end of a picture of time that is wider than the window.
  document.querySelectorAll("[data-scroll-end]").forEach(function (node) { node.scrollLeft = node.scrollWidth; });

  document.addEventListener("htmx:afterSwap", function () { addCopyButtons(document); });
  addCopyButtons(document);
  if (document.documentElement.dataset.keys !== "off") document.addEventListener("keydown", onKey);
})();
