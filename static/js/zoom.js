// A drawn graph larger and smaller: buttons, keys, the wheel with Ctrl, two fingers. Without this file it scrolls.
// Moved by dragging; it stays where it is when an update comes, since only its width and what is scrolled change.
(function () {
  "use strict";
  var STEP = 1.25;
  var LEAST = 0.4;
  var MOST = 4;
  var WHEEL_MOST = 25;
  var LINE = 16; // of a wheel that counts in lines
  var CLICK = 4; // a pointer that moves less has not dragged
  var scale = 1;
  var drag = null;
  var pinch = null;

  function graph() { return document.querySelector("svg.graph"); }

  function frame() { return graph().parentNode; }

  function isOn(event) { return Boolean(graph()) && frame().contains(event.target); }

  // Never larger than drawn; the frame grows with the picture up to a height of its own.
  function whole() {
    var drawn = graph().viewBox.baseVal;
    var room = parseFloat(window.getComputedStyle(frame()).maxHeight) || Infinity;
    return Math.min(1, frame().clientWidth / drawn.width, (room - 2) / drawn.height);
  }

  // What is under the pointer stays there, if need be by scrolling the page; without one, what is in the middle of the
  // frame, and the page stands still under the buttons.
  function zoom(wanted, pointer) {
    var area = frame().getBoundingClientRect();
    var at = pointer || { x: area.left + area.width / 2, y: area.top + area.height / 2 };
    var before = graph().getBoundingClientRect();
    var x = (at.x - before.left) / scale;
    var y = (at.y - before.top) / scale;
    scale = Math.max(Math.min(LEAST, whole()), Math.min(MOST, wanted));
    graph().style.width = scale === 1 ? "" : graph().viewBox.baseVal.width * scale + "px";
    var after = graph().getBoundingClientRect();
    frame().scrollLeft += after.left + x * scale - at.x;
    frame().scrollTop += after.top + y * scale - at.y;
    if (pointer) window.scrollBy({ top: graph().getBoundingClientRect().top + y * scale - at.y, behavior: "instant" });
    showWhetherItMoves();
  }

  function showWhetherItMoves() {
    if (!graph()) return;
    var box = frame();
    box.toggleAttribute("data-moves", box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight);
  }

  var acts = {
    "+": function () { zoom(scale * STEP); },
    "-": function () { zoom(scale / STEP); },
    "0": function () { zoom(whole()); },
    "1": function () { zoom(1); }
  };

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-zoom]");
    if (button && graph()) acts[button.dataset.zoom]();
  });

  function onKey(event) {
    if (!graph() || event.ctrlKey || event.metaKey || event.altKey || !/^[-+0]$/.test(event.key)) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    acts[event.key]();
    event.preventDefault();
  }

  // The wheel alone scrolls, as everywhere.
  function onWheel(event) {
    if (!event.ctrlKey || !isOn(event)) return;
    event.preventDefault();
    var turned = event.deltaY * (event.deltaMode === 1 ? LINE : 1);
    zoom(scale * Math.exp(-Math.max(-WHEEL_MOST, Math.min(WHEEL_MOST, turned)) / 100), { x: event.clientX, y: event.clientY });
  }

  // By mouse and pen; a finger scrolls anyway.
  function beginDrag(event) {
    if (event.pointerType === "touch" || event.button !== 0 || !isOn(event) || !event.target.closest("svg.graph")) return;
    drag = { x: event.clientX, y: event.clientY, left: frame().scrollLeft, top: frame().scrollTop, isMoved: false };
  }

  function goOn(event) {
    if (!drag || !graph()) return;
    if (!event.buttons) { drag = null; return; } // let go outside of the window
    var right = event.clientX - drag.x;
    var down = event.clientY - drag.y;
    if (!drag.isMoved && Math.abs(right) + Math.abs(down) < CLICK) return;
    drag.isMoved = true;
    frame().scrollLeft = drag.left - right;
    frame().scrollTop = drag.top - down;
  }

  // The end of a drag on a box is no click on its link.
  function onClick(event) {
    if (drag && drag.isMoved) { event.preventDefault(); event.stopPropagation(); }
    drag = null;
  }

  function apartOf(touches) {
    return Math.hypot(touches[0].clientX - touches[1].clientX, touches[0].clientY - touches[1].clientY);
  }

  function onTouch(event) {
    if (event.touches.length !== 2 || !isOn(event)) { pinch = null; return; }
    event.preventDefault();
    var apart = apartOf(event.touches);
    if (event.type === "touchstart" || !pinch) { pinch = { apart: apart, scale: scale }; return; }
    zoom((pinch.scale * apart) / pinch.apart, {
      x: (event.touches[0].clientX + event.touches[1].clientX) / 2,
      y: (event.touches[0].clientY + event.touches[1].clientY) / 2
    });
  }

  if (document.documentElement.dataset.keys !== "off") document.addEventListener("keydown", onKey);
  document.addEventListener("wheel", onWheel, { passive: false });
  document.addEventListener("pointerdown", beginDrag);
  document.addEventListener("pointermove", goOn);
  document.addEventListener("click", onClick, true);
  document.addEventListener("dragstart", function (event) { if (isOn(event)) event.preventDefault(); });
  document.addEventListener("touchstart", onTouch, { passive: false });
  document.addEventListener("touchmove", onTouch, { passive: false });
  document.addEventListener("htmx:afterSettle", showWhetherItMoves);
  window.addEventListener("resize", showWhetherItMoves);
  showWhetherItMoves();
})();
