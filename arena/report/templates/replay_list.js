"use strict";
/* The list of all games with its filter, and what lists have in common. */
const replayList = (() => {
  const ROWS = 100; // games that the list shows at a time
  const at = (name) => document.getElementById(`replay-${name}`);
  const sideWord = (white) => (white ? "White" : "Black");
  const outcome = (points) => ["lost", "drew", "won"][points * 2];
  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  function make(name, properties = {}, children = []) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  /* Keep a part of a list that scrolls in sight, without moving the page. */
  function keepInSight(list, inner) {
    const [outer, box] = [list.getBoundingClientRect(), inner.getBoundingClientRect()];
    if (box.top < outer.top) list.scrollTop -= outer.top - box.top + box.height;
    else if (box.bottom > outer.bottom) list.scrollTop += box.bottom - outer.bottom + box.height;
  }

  /* Show the list. ``mark`` marks a game by its place; ``beside`` gives the next (1) or the previous
     (-1) one that passes the filter, undefined at the end. */
  function list(games) {
    let matching = []; // places of the games that pass the filter
    let listed = [0, 0]; // of these, from where to where the list shows them
    let marked = -1;

    function filter() {
      const wanted = words(at("text").value);
      const [result, colour, end] = ["result", "colour", "end"].map((name) => at(name).value);
      matching = [];
      for (let index = 0; index < games.count; index++) {
        const one = games.outline(index);
        if (result && one.points !== Number(result)) continue;
        if (colour && one.candidateWhite !== (colour === "white")) continue;
        if (end && one.termination !== end) continue;
        const text = [`${one.pair}.${one.number}`, one.opening, one.termination, one.note].join(" ")
          .toLowerCase();
        // A bare number is that of a pair.
        if (wanted.every((word) => (/^\d+$/.test(word) ? one.pair === Number(word)
          : text.includes(word)))) matching.push(index);
      }
      const all = games.count.toLocaleString("en");
      at("count").textContent = matching.length === games.count ? `${all} games`
        : `${matching.length.toLocaleString("en")} of ${all} games`;
      listFrom(matching.indexOf(marked));
      mark(marked);
    }

    /* List the games around one of those that pass the filter. */
    function listFrom(place) {
      const begin = Math.max(0, place - ROWS / 2);
      listed = [begin, begin];
      at("list").replaceChildren();
      at("list").scrollTop = 0;
      laterRows();
    }

    function laterRows() {
      const next = matching.slice(listed[1], listed[1] + ROWS);
      listed[1] += next.length;
      at("list").append(...next.map(rowOf));
      offerMore();
    }

    function earlierRows() {
      const begin = Math.max(0, listed[0] - ROWS);
      at("list").prepend(...matching.slice(begin, listed[0]).map(rowOf));
      listed[0] = begin;
      offerMore();
    }

    function offerMore() {
      at("earlier").hidden = listed[0] === 0;
      at("more").hidden = listed[1] >= matching.length;
    }

    function rowOf(index) {
      const one = games.outline(index);
      const cell = (className, textContent) => make("span", {className, textContent});
      const button = make("button", {type: "button"}, [
        cell("replay-round", `${one.pair}.${one.number}`), " ",
        cell(`replay-points replay-${outcome(one.points)}`, outcome(one.points)), " ",
        cell("replay-side", `as ${sideWord(one.candidateWhite)}, ${one.result}`), " ",
        cell("replay-end", one.termination + (one.uncounted ? ", not counted" : "")), " ",
        cell("replay-opening", one.opening)]);
      button.dataset.index = index;
      return make("li", {}, [button]);
    }

    /* Mark the game that is shown, and bring it into sight. */
    function mark(index) {
      marked = index;
      at("list").querySelector("[aria-current]")?.removeAttribute("aria-current");
      const place = matching.indexOf(index);
      if (place >= 0 && (place < listed[0] || place >= listed[1])) listFrom(place);
      const button = at("list").querySelector(`[data-index="${index}"]`);
      if (!button) return;
      button.setAttribute("aria-current", "true");
      keepInSight(at("list"), button);
    }

    const beside = (index, direction) => (direction > 0 ? matching.find((one) => one > index)
      : matching.findLast((one) => one < index));

    for (const end of [...games.head.terminations].sort()) {
      at("end").append(make("option", {value: end, textContent: end}));
    }
    at("more").addEventListener("click", laterRows);
    at("earlier").addEventListener("click", earlierRows);
    at("text").addEventListener("input", filter);
    for (const name of ["result", "colour", "end"]) at(name).addEventListener("change", filter);
    filter();
    return {mark, beside};
  }

  return {list, at, make, keepInSight, sideWord};
})();
