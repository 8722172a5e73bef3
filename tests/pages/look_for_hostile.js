// What hostile text has become on this page. `start` and `end` stand around every text of a field.
([start, end]) => {
  const LRM = "\u200e", RIGHT_TO_LEFT = /[\u0590-\u08ff\u200f]/;
  const style = (element) => getComputedStyle(element);
  const isolates = (element) => /isolate|plaintext/.test(style(element).unicodeBidi);
  const isInline = (element) => style(element).display === "inline" || style(element).display === "contents";

  // The paragraphs of an element as the bidirectional algorithm sees them: what is isolated in one is a single object.
  const paragraphsOf = (root) => {
    const found = [""];
    const walk = (node) => {
      if (node.nodeType === Node.TEXT_NODE) {
        const keepsLines = /pre|break-spaces/.test(style(node.parentElement).whiteSpace);
        const [first, ...rest] = keepsLines ? node.data.split("\n") : [node.data.replace(/\s+/g, " ")];
        found[found.length - 1] += first;
        found.push(...rest);
      } else if (node.nodeType === Node.ELEMENT_NODE) {
        if (style(node).display === "none" || node.tagName === "SCRIPT") return;
        if (node.tagName === "BR") found.push("");
        else if (!isInline(node)) found.push("");
        else if (isolates(node)) found[found.length - 1] += "\ufffc";
        else node.childNodes.forEach(walk);
      }
    };
    root.childNodes.forEach(walk);
    return found;
  };

  // Text beside a field's in one paragraph would be drawn elsewhere, where nothing keeps them apart.
  const isLoose = (paragraph) => {
    for (let at = paragraph.indexOf(start); at >= 0; at = paragraph.indexOf(start, at + 1)) {
      const before = paragraph.slice(0, at), stop = paragraph.indexOf(end, at);
      const after = stop < 0 ? "" : paragraph.slice(stop + 1);
      if (before.trim() && !before.endsWith(LRM)) return true;
      if (after.trim() && !after.startsWith(LRM)) return true;
    }
    return false;
  };

  const loose = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.includes(start) || !RIGHT_TO_LEFT.test(text.data) || text.parentElement.closest("script, style, option, datalist, textarea, title")) continue;
    let root = text.parentElement;
    while (isInline(root) && !isolates(root)) root = root.parentElement;
    if (style(root).display === "none" || style(root).unicodeBidi.includes("override")) continue;
    for (const paragraph of paragraphsOf(root)) {
      if (isLoose(paragraph)) loose.add(`<${root.tagName.toLowerCase()} class="${root.className}"> ${paragraph.trim().replace(/(.)\1{9,}/g, "$1…").slice(0, 200)}`);
    }
  }
  const planted = "[data-pwned], [onerror], [onfocus], [onload], u, img, iframe, object, embed, base, script:not([src]), [hx-get='/logout/'], [hx-on], [autofocus]:not(button):not(input)";
  const addresses = [...document.querySelectorAll("[href], [src], [action], [formaction]")].filter((element) =>
    ["href", "src", "action", "formaction"].some((name) => element.hasAttribute(name) &&
      new URL(element.getAttribute(name), document.baseURI).origin !== location.origin));
  return {
    planted: [...document.querySelectorAll(planted), ...addresses].map((element) => element.outerHTML.slice(0, 200)),
    ran: window.pwned !== undefined,
    loose: [...loose],
    text: document.body.innerText,
    title: document.title,
    html: document.documentElement.outerHTML,
    width: document.documentElement.scrollWidth,
    wide: [...document.querySelectorAll("main *, header *, footer *")].filter((element) => element.getBoundingClientRect().right > innerWidth + 1 &&
      !element.closest("pre, svg")).slice(0, 3).map((element) => element.outerHTML.replace(/(.)\1{9,}/g, "$1…").slice(0, 160)),
  };
}
