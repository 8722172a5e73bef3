// Runs before the first paint: what needs script is shown, and "auto" follows the system. Without script, auto is light.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("scripted");
  if (root.dataset.theme !== "auto") return;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() { root.dataset.bsTheme = dark.matches ? "dark" : "light"; }
  apply();
  dark.addEventListener("change", apply);
})();
