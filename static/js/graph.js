// A drawn graph by keyboard: arrows go along its edges and between its neighbours.
(function () {
  "use strict";

  function graph() { return document.querySelector("svg.graph"); }

  function boxes() { return Array.from(graph().querySelectorAll("a[data-box]")); }

  function middle(box) {
    var area = box.getBoundingClientRect();
    return { x: area.left + area.width / 2, y: area.top + area.height / 2 };
  }

  function words(box, name) { return (box.getAttribute(name) || "").split(" ").filter(Boolean); }

  // A box names the boxes behind it, and the points where its lines meet others; those at the other side name these too.
  function leadsTo(box, other) {
    var after = words(box, "data-to");
    return after.includes(other.dataset.box) || words(other, "data-at").some(function (point) { return after.includes(point); });
  }

  function candidates(box, key) {
    var at = middle(box);
    return boxes().filter(function (other) {
      if (key === "ArrowRight") return leadsTo(box, other);
      if (key === "ArrowLeft") return leadsTo(other, box);
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
    if (/^Arrow(Left|Right|Up|Down)$/.test(event.key) && move(event.key)) event.preventDefault();
  }

  if (document.documentElement.dataset.keys !== "off") document.addEventListener("keydown", onKey);
})();
