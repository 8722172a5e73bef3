// A drawn graph by keyboard: arrows go along its edges and between its neighbours, + - 0 make it larger and smaller.
(function () {
  "use strict";
  var STEP = 1.25;
  var LEAST = 0.4;
  var MOST = 4;
  var scale = 1;

  function graph() { return document.querySelector("svg.graph"); }

  function zoom(wanted) {
    var picture = graph();
    scale = Math.max(LEAST, Math.min(MOST, wanted));
    picture.style.width = scale === 1 ? "" : picture.viewBox.baseVal.width * scale + "px";
  }

  function boxes() { return Array.from(graph().querySelectorAll("a[data-box]")); }

  function middle(box) {
    var area = box.getBoundingClientRect();
    return { x: area.left + area.width / 2, y: area.top + area.height / 2 };
  }

  // The names of those at the other ends of the edges that leave a box to the right, or reach it from the left.
  function joinedTo(box, isForward) {
    var here = isForward ? "data-from" : "data-to";
    var there = isForward ? "data-to" : "data-from";
    var lines = graph().querySelectorAll("path[" + here + '="' + box.dataset.box + '"]');
    return Array.from(lines).map(function (line) { return line.getAttribute(there); });
  }

  function candidates(box, key) {
    var at = middle(box);
    if (key === "ArrowRight" || key === "ArrowLeft") {
      var names = joinedTo(box, key === "ArrowRight");
      return boxes().filter(function (other) { return names.includes(other.dataset.box); });
    }
    return boxes().filter(function (other) {
      var place = middle(other);
      return Math.abs(place.x - at.x) < 1 && (key === "ArrowDown" ? place.y > at.y : place.y < at.y);
    });
  }

  function nearest(box, others) {
    var at = middle(box);
    return others.reduce(function (best, other) {
      return !best || Math.abs(middle(other).y - at.y) < Math.abs(middle(best).y - at.y) ? other : best;
    }, null);
  }

  function move(key) {
    var all = boxes();
    var here = all.indexOf(document.activeElement);
    if (here < 0 && (key === "ArrowUp" || key === "ArrowDown")) return false; // the page scrolls
    var next = here < 0 ? all[0] : nearest(all[here], candidates(all[here], key));
    if (next) {
      next.focus();
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    return true;
  }

  function onKey(event) {
    if (!graph() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    if (event.key === "+") zoom(scale * STEP);
    else if (event.key === "-") zoom(scale / STEP);
    else if (event.key === "0") zoom(1);
    else if (!/^Arrow(Left|Right|Up|Down)$/.test(event.key) || !move(event.key)) return;
    event.preventDefault();
  }

  if (document.documentElement.dataset.keys !== "off") document.addEventListener("keydown", onKey);
})();
