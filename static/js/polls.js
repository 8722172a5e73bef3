// The poll of a page: when it asks, and what the reader is told about that.
(function () {
  "use strict";
  var SPINNER_AFTER = 300;
  var MOST_SECONDS = 120;
  var isPaused = false;
  var failures = 0;
  var notBefore = 0;
  var spinner = 0;
  var server = document.querySelector("footer time");
  var updatedAt = server ? server.dateTime : new Date().toISOString();

  function isLive(node) { return Boolean(node.matches) && node.matches("[data-live]"); }

  function notes() { return document.querySelectorAll("[data-live-note]"); }

  // None while hidden or paused; after errors ever rarer, up to every 2 minutes.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (!isLive(event.target)) return;
    if (document.hidden || isPaused || Date.now() < notBefore) { event.preventDefault(); return; }
    event.target.setAttribute("aria-busy", "true");
    spinner = window.setTimeout(function () { setState("busy"); }, SPINNER_AFTER);
  });

  document.addEventListener("htmx:afterRequest", function (event) {
    if (!isLive(event.target)) return;
    window.clearTimeout(spinner);
    event.target.removeAttribute("aria-busy");
    if (event.detail.successful) succeed(event.detail.xhr);
    else fail(event.detail.xhr);
  });

  function succeed(xhr) {
    failures = notBefore = 0;
    updatedAt = new Date(xhr.getResponseHeader("Date") || Date.now()).toISOString();
    setState("");
    tell("updated", "");
    if (!document.querySelector("[data-live][hx-get]")) notes().forEach(function (note) { note.remove(); }); // it is over
  }

  function fail(xhr) {
    failures += 1;
    notBefore = Date.now() + Math.min(MOST_SECONDS, 10 * Math.pow(2, failures)) * 1000;
    setState("failed");
    if (xhr.status === 401) { askToSignIn(); return; }
    var request = xhr.status ? xhr.getResponseHeader("X-Request-ID") : "";
    tell("last updated", ": " + whatCame(xhr.status) + (request ? ", request " + request : ""));
  }

  function whatCame(status) {
    if (!status) return "the server did not answer";
    return status === 200 ? "what came is not this page" : "the server answered " + status;
  }

  // What was there stays: somebody may be reading it.
  function askToSignIn() {
    tell("last updated", ": you are signed out. ");
    notes().forEach(function (note) {
      var link = document.createElement("a");
      link.href = "/login/?next=" + encodeURIComponent(window.location.pathname + window.location.search);
      link.textContent = "Sign in again";
      note.querySelector("[data-live-age]").append(link);
    });
  }

  function tell(before, after) {
    notes().forEach(function (note) {
      var time = document.createElement("time");
      time.dateTime = updatedAt;
      time.textContent = "just now";
      note.querySelector("[data-live-age]").replaceChildren(before + " ", time, after);
    });
    document.dispatchEvent(new Event("jobmon:times"));
  }

  function setState(state) {
    notes().forEach(function (note) {
      note.dataset.state = state;
      note.querySelector("[data-live-retry]").hidden = state !== "failed";
    });
  }

  function ask() {
    var live = document.querySelector("[data-live][hx-get]");
    notBefore = 0;
    if (live) window.htmx.trigger(live, "ask");
  }

  function togglePause() {
    isPaused = !isPaused;
    document.querySelectorAll("[data-live-pause]").forEach(function (button) {
      button.textContent = isPaused ? "Continue updates" : "Pause updates";
      button.setAttribute("aria-pressed", String(isPaused));
    });
    if (!isPaused) ask();
  }

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-live-pause]")) togglePause();
    else if (event.target.closest("[data-live-retry]")) ask();
  });
  document.addEventListener("visibilitychange", function () { if (!document.hidden && !failures) ask(); });
})();
