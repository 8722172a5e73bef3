// "8 min ago" and "running for 7 min" go on while a page is open, in the words of the server (words.since, .duration)
// and by its clock: that of the reader may be wrong.
(function () {
  "use strict";
  var EVERY = 10000;
  var RELATIVE = /^(just now|in .*\d.*|.* ago)$/;
  var server = document.querySelector("footer time");
  var ahead = server ? Date.parse(server.dateTime) - Date.now() : 0;

  function duration(seconds) {
    if (seconds < 9.95) return Math.max(seconds, 0).toFixed(1).replace(/\.0$/, "") + " s";
    if (seconds < 59.5) return Math.round(seconds) + " s";
    var minutes = Math.round(seconds / 60);
    if (minutes < 60) return minutes + " min";
    if (minutes < 1440) return joined(minutes, 60, " h", " min");
    return joined(Math.floor(minutes / 60), 24, " d", " h");
  }

  function joined(count, size, big, small) {
    var rest = count % size;
    return Math.floor(count / size) + big + (rest ? " " + rest + small : "");
  }

  // What is over a month ago is a date, which stays as it is.
  function since(seconds, shown) {
    if (Math.abs(seconds) < 2) return "just now";
    if (seconds < 0) return "in " + duration(-seconds);
    if (seconds > 31 * 86400) return shown;
    if (seconds >= 2 * 86400) return Math.round(seconds / 86400) + " days ago";
    return (seconds < 59.5 ? Math.round(seconds) + " s" : duration(seconds)) + " ago";
  }

  function refresh(node) {
    var seconds = (Date.now() + ahead - Date.parse(node.dateTime)) / 1000;
    var text = node.textContent;
    if (node.hasAttribute("data-for")) write(node, duration(seconds));
    else if (RELATIVE.test(text)) write(node, since(seconds, text));
    else if (RELATIVE.test(node.title)) node.title = since(seconds, node.title);
  }

  function write(node, text) { if (node.textContent !== text) node.textContent = text; }

  function refreshAll() { if (!document.hidden) document.querySelectorAll("time").forEach(refresh); }

  window.setInterval(refreshAll, EVERY);
  document.addEventListener("visibilitychange", refreshAll);
  document.addEventListener("jobmon:times", refreshAll);
})();
