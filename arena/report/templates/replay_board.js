"use strict";
/* Pictures of the board and of the evaluations, drawn as SVG. */
const replayBoard = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const SIZE = 45; // a square, in the units of the pieces' drawings
  const STILL = matchMedia("(prefers-reduced-motion: reduce)");
  const KINDS = {p: "pawn", n: "knight", b: "bishop", r: "rook", q: "queen", k: "king"};
  const NAMES = {P: "pawn", N: "knight", B: "bishop", R: "rook", Q: "queen", K: "king"};

  function element(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (parent) parent.append(made);
    return made;
  }

  const colourOf = (piece) => (piece < "a" ? "white" : "black");

  /* The board in ``svg``; ``draw`` shows a position. */
  function board(svg) {
    svg.setAttribute("viewBox", `0 0 ${8 * SIZE} ${8 * SIZE}`);
    const squares = element("g", {}, svg);
    const marks = element("g", {}, svg);
    const letters = element("g", {class: "replay-coordinates"}, svg);
    const pieces = element("g", {}, svg);
    const arrows = element("g", {}, svg);
    for (let square = 0; square < 64; square++) {
      const light = ((square & 7) + (square >> 3)) % 2 === 1;
      element("rect", {x: (square & 7) * SIZE, y: (square >> 3) * SIZE, width: SIZE, height: SIZE,
        class: light ? "replay-dark" : "replay-light"}, squares);
    }
    let flipped = false;

    /* The upper left corner of a square. */
    function corner(square) {
      const file = square & 7;
      const rank = square >> 3;
      return flipped ? [(7 - file) * SIZE, rank * SIZE] : [file * SIZE, (7 - rank) * SIZE];
    }

    function coordinates() {
      letters.replaceChildren();
      for (let at = 0; at < 8; at++) {
        const file = "abcdefgh"[flipped ? 7 - at : at];
        const rank = flipped ? at + 1 : 8 - at;
        const below = {x: (at + 1) * SIZE - 3, y: 8 * SIZE - 4, "text-anchor": "end",
          class: at % 2 ? "replay-on-light" : "replay-on-dark"};
        element("text", below, letters).textContent = file;
        const beside = {x: 3, y: at * SIZE + 12,
          class: at % 2 ? "replay-on-dark" : "replay-on-light"};
        element("text", beside, letters).textContent = rank;
      }
    }

    function mark(square, kind) {
      const [x, y] = corner(square);
      element("rect", {x: x + 1.25, y: y + 1.25, width: SIZE - 2.5, height: SIZE - 2.5,
        class: kind}, marks);
    }

    function place(piece, square) {
      const [x, y] = corner(square);
      const href = `#replay-${colourOf(piece)}-${KINDS[piece.toLowerCase()]}`;
      return element("use", {href, transform: `translate(${x} ${y})`}, pieces);
    }

    /* Let the piece on ``to`` come from ``from``. */
    function glide(use, from, to) {
      if (STILL.matches || !use.animate) return;
      const [fromX, fromY] = corner(from);
      const [x, y] = corner(to);
      use.animate(
        [{transform: `translate(${fromX}px, ${fromY}px)`}, {transform: `translate(${x}px, ${y}px)`}],
        {duration: 130, easing: "ease-out"});
    }

    /* An arrow of a net's; ``aside`` shifts it to one side, so that two do not hide each other. */
    function arrow({from, to, share, kind, aside}) {
      const middle = (square) => corner(square).map((value) => value + SIZE / 2);
      const [fromX, fromY] = middle(from);
      const [toX, toY] = middle(to);
      const length = Math.hypot(toX - fromX, toY - fromY);
      const [alongX, alongY] = [(toX - fromX) / length, (toY - fromY) / length];
      const point = (along, across) => [
        fromX + alongX * along - alongY * (across + aside),
        fromY + alongY * along + alongX * (across + aside)];
      const width = 2.5 + 5 * share;
      const head = 9 + 4 * share;
      const group = element("g", {class: `replay-arrow replay-${kind}`,
        opacity: 0.45 + 0.5 * share}, arrows);
      const [x1, y1] = point(8, 0);
      const [x2, y2] = point(length - head - 2, 0);
      element("line", {x1, y1, x2, y2, "stroke-width": width}, group);
      const tip = [point(length - 3, 0), point(length - head - 3, head * 0.55),
        point(length - head - 3, -head * 0.55)];
      element("polygon", {points: tip.map((one) => one.join(",")).join(" ")}, group);
    }

    /* Show a position; ``move`` led to it and is marked, ``glides`` says whether it is seen. */
    function draw(position, {move, glides, preferences, turned}) {
      flipped = turned;
      coordinates();
      marks.replaceChildren();
      pieces.replaceChildren();
      arrows.replaceChildren();
      if (move) {
        mark(move.from, "replay-last");
        mark(move.to, "replay-last");
      }
      if (replayRules.inCheck(position)) {
        mark(replayRules.kingOf(position, position.white), "replay-check");
      }
      position.board.forEach((piece, square) => {
        if (piece === "") return;
        const use = place(piece, square);
        if (glides && move && square === move.to) glide(use, move.from, move.to);
        if (glides && move && move.rook >= 0 && square === move.to + (move.rook > move.from ? -1 : 1)) {
          glide(use, move.rook, square);
        }
      });
      preferences.forEach(arrow);
    }

    return {draw};
  }

  /* The pieces in words: "White: king g1, rook f1, pawns a2, b2". */
  function inWords(position) {
    return [true, false].map((white) => {
      const parts = [];
      for (const kind of "KQRBNP") {
        const piece = white ? kind : kind.toLowerCase();
        const at = [];
        position.board.forEach((one, square) => {
          if (one === piece) at.push(replayRules.squareName(square));
        });
        if (at.length) parts.push(`${NAMES[kind]}${at.length > 1 ? "s" : ""} ${at.join(", ")}`);
      }
      return `${white ? "White" : "Black"}: ${parts.join("; ")}.`;
    }).join(" ");
  }

  /* The graph of both players' evaluations in ``svg``: one unit a ply, +-1 up and down. */
  function graph(svg) {
    const back = element("g", {}, svg);
    const lines = element("g", {}, svg);
    const cursor = element("line", {class: "replay-cursor", y1: -1, y2: 1}, svg);
    const dots = element("g", {}, svg);
    let game = null;

    const value = (ply) => game.evaluations[ply - 1 - game.openingPlies] / 100;
    const isCandidate = (ply) => game.positions[ply - 1].white === game.candidateWhite;

    function show(shown) {
      game = shown;
      const plies = game.moves.length;
      svg.setAttribute("viewBox", `0 -1.06 ${Math.max(plies, 1)} 2.12`);
      svg.setAttribute("preserveAspectRatio", "none");
      back.replaceChildren();
      lines.replaceChildren();
      element("rect", {x: 0, y: -1.06, width: game.openingPlies, height: 2.12,
        class: "replay-book"}, back);
      for (const y of [-1, -0.5, 0, 0.5, 1]) {
        element("line", {x1: 0, x2: Math.max(plies, 1), y1: y, y2: y,
          class: y ? "replay-grid" : "replay-zero"}, back);
      }
      for (const candidate of [false, true]) {
        const points = [];
        for (let ply = game.openingPlies + 1; ply <= plies; ply++) {
          if (isCandidate(ply) === candidate) points.push(`${ply} ${-value(ply)}`);
        }
        element("path", {d: points.length ? `M${points.join("L")}` : "",
          class: candidate ? "replay-line-candidate" : "replay-line-baseline"}, lines);
      }
    }

    function point(ply) {
      cursor.setAttribute("x1", ply);
      cursor.setAttribute("x2", ply);
      dots.replaceChildren();
      if (ply > game.openingPlies) {
        const y = -value(ply);
        element("line", {x1: ply, x2: ply, y1: y, y2: y,
          class: isCandidate(ply) ? "replay-dot-candidate" : "replay-dot-baseline"}, dots);
      }
    }

    /* The ply nearest to a place of the pointer. */
    function plyAt(clientX) {
      const box = svg.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
      return Math.round(share * game.moves.length);
    }

    return {show, point, plyAt};
  }

  return {board, graph, inWords};
})();
