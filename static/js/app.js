// Live updates, keys, copy buttons. Every page works without this file.
(function () {
  "use strict";
  var polls = { paused: false, failures: 0, notBefore: 0 };

  // Polls: none while hidden or paused; after errors ever rarer, up to every 2 minutes.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (!event.target.matches || !event.target.matches("[data-live]")) return;
    if (document.hidden || polls.paused || Date.now() < polls.notBefore) event.preventDefault();
    else event.target.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    var live = event.target;
    if (!live.matches || !live.matches("[data-live]")) return;
    live.removeAttribute("aria-busy");
    if (event.detail.successful) {
      polls.failures = 0;
      noteAge("updated " + new Date().toLocaleTimeString());
    } else {
      polls.failures += 1;
      polls.notBefore = Date.now() + Math.min(120, 10 * Math.pow(2, polls.failures)) * 1000;
      noteAge("not updated: the server did not answer; trying again");
    }
  });
  document.addEventListener("htmx:afterSwap", function () { addCopyButtons(document); });

  function noteAge(text) {
    document.querySelectorAll("[data-live-age]").forEach(function (node) { node.textContent = text; });
  }

  function togglePause() {
    polls.paused = !polls.paused;
    document.querySelectorAll("[data-live-pause]").forEach(function (button) {
      button.textContent = polls.paused ? "Resume updates" : "Pause updates";
      button.setAttribute("aria-pressed", String(polls.paused));
    });
  }

  // Morphing keeps what the reader has opened, ticked, chosen or typed.
  if (window.Idiomorph) {
    window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, node) {
      if (name === "open") return node.tagName !== "DETAILS";
      return !(["value", "checked", "selected"].includes(name) && isTouched(node));
    };
  }

  function isTouched(field) {
    if (field.tagName === "OPTION") {
      var options = Array.from(field.closest("select").options);
      return options.findIndex(function (one) { return one.selected; }) !== Math.max(0, options.findIndex(function (one) { return one.defaultSelected; }));
    }
    return field.value !== field.defaultValue || (field.tagName === "INPUT" && field.checked !== field.defaultChecked);
  }

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

  // Keys: none acts, at most a key opens a page.
  var places = { w: "/workflows/", o: "/operations/", e: "/executors/", a: "/audit/" };
  var named = { ArrowLeft: "left", ArrowRight: "right", "+": "plus", "-": "minus" };
  var goPending = 0;
  var atEnd = false;

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

  function openLink(selector) {
    var link = document.querySelector(selector);
    if (link) link.click();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    var key = event.key;
    if (goPending && Date.now() - goPending < 1500 && places[key]) { window.location.assign(places[key]); return; }
    goPending = key === "g" ? Date.now() : 0;
    if (key === "/") { event.preventDefault(); document.querySelector("#search-box").focus(); }
    else if (key === "?") { var help = document.querySelector("#key-help"); if (help) help.showModal(); }
    else if (key === "j") moveRow(1);
    else if (key === "k") moveRow(-1);
    else if (key === "Enter") openLink("tr.picked a");
    else if (key === "n") openLink("a[rel=next]");
    else if (key === "b") openLink("a[rel=prev]");
    else if (key === "[") openLink("a[data-key=older]");
    else if (key === "]") openLink("a[data-key=newer]");
    else if (key === "p") togglePause();
    else if (key === "x") tickRow();
    else if (key === "f") { var filter = document.querySelector("form.filters input, form.filters select"); if (filter) { event.preventDefault(); filter.focus(); } }
    else if (named[key]) openLink("a[data-key=" + named[key] + "]");
    else if (/^[a-zA-Z1-9]$/.test(key)) openLink('a[data-key="' + key + '"]');
  }

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-live-pause]")) togglePause();
    var all = event.target.closest("[data-tick-all]");
    if (all) document.querySelectorAll("input[name=job]").forEach(function (box) { box.checked = all.checked; });
    if (event.target.closest("[data-open-keys]")) document.querySelector("#key-help").showModal();
    document.querySelectorAll("details.menu-box[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.removeAttribute("open");
    });
  });

  // The end of a log is what one comes for; it stays in sight while one has not scrolled away.
  function showEnd() {
    var log = document.querySelector("pre[data-end]");
    if (log && !window.location.hash) log.scrollTop = log.scrollHeight;
  }
  document.addEventListener("htmx:beforeSwap", function () {
    var log = document.querySelector("pre[data-end]");
    atEnd = Boolean(log) && log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  document.addEventListener("htmx:afterSettle", function () { if (atEnd) showEnd(); });
  showEnd();

  document.querySelectorAll("[data-needs-script]").forEach(function (node) { node.hidden = false; });
  addCopyButtons(document);
  if (document.documentElement.dataset.keys !== "off") document.addEventListener("keydown", onKey);
})();
