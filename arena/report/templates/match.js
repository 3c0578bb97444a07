"use strict";
/* report.html of a match: copies the results, and prints what is folded up. */
(() => {
  const block = document.getElementById("block");
  const button = document.getElementById("copy");
  const said = document.getElementById("copied");

  /* Where the clipboard is not to be had, the text is selected, and the old command tried. */
  function copySelected() {
    getSelection().selectAllChildren(block);
    try {
      return document.execCommand("copy");
    } catch {
      return false;
    }
  }

  async function copy() {
    said.textContent = "";
    let copied = true;
    try {
      await navigator.clipboard.writeText(`${block.textContent}\n`);
    } catch {
      copied = copySelected();
    }
    said.textContent = copied ? "Copied." : "Selected: copy it with Ctrl+C or ⌘C.";
  }

  button.addEventListener("click", copy);
  button.hidden = false;

  /* Only what can be scrolled is a stop for the keyboard. */
  function stops() {
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  stops();
  addEventListener("resize", stops);
  document.addEventListener("toggle", stops, true);

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
