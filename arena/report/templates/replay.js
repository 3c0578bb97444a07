"use strict";
/* The replay of a report's page: what is shown, and what keys, clicks and touches do. */
(() => {
  const PACE = 900; // milliseconds a move, when the game plays by itself
  const SWIPE = 30; // CSS pixels that tell a swipe from a tap
  const PAUSE = "M8 5v14M16 5v14";
  const {at, make, keepInSight, sideWord} = replayList;
  const root = document.querySelector(".replay");
  const buttonOf = (name) => root.querySelector(`[data-do="${name}"]`);
  const PLAY = buttonOf("play").querySelector("path").getAttribute("d");

  let games = null; // all of them, packed
  let game = null; // the one that is shown
  let ply = 0; // its moves that are made
  let turned = false; // whether Black is below
  let list = null; // of games, of which a filter lets some pass
  let timer = null;
  const board = replayBoard.board(at("squares"));
  const graph = replayBoard.graph(at("graph"));

  /* -- words -- */

  const signed = (hundredths) => (hundredths < 0 ? "−" : hundredths > 0 ? "+" : "")
    + (Math.abs(hundredths) / 100).toFixed(2);
  const nameOf = (candidate) => (candidate ? games.head.candidate : games.head.baseline);
  const kindOf = (candidate) => (candidate ? "candidate" : "baseline");
  const moverIsCandidate = (which) => game.positions[which - 1].white === game.candidateWhite;
  const evaluation = (which) => game.evaluations[which - 1 - game.openingPlies];
  const drawText = (which) => (game.draws
    ? `, draw ${game.draws[which - 1 - game.openingPlies]}\u00a0%` : "");

  function moveNumber(which) {
    const before = game.positions[which - 1];
    return `${before.number}${before.white ? "." : "…"}`;
  }

  /* Name a ply: "12. Nf3". */
  const plyName = (which) => (which ? `${moveNumber(which)} ${game.notation[which - 1]}` : "Start");

  function statusText() {
    const end = ply === game.moves.length
      ? ` End of the game: ${game.result}, ${game.termination}.` : "";
    if (ply === 0) return `Start of the game, ${sideWord(game.positions[0].white)} to move.${end}`;
    if (ply <= game.openingPlies) return `${plyName(ply)}, opening.${end}`;
    const mover = nameOf(moverIsCandidate(ply));
    return `${plyName(ply)}, ${mover}: ${signed(evaluation(ply))}${drawText(ply)}.${end}`;
  }

  /* -- the game and the ply that are shown -- */

  /* Show a game by its place in the list, at a ply. */
  function openGame(index, where = 0) {
    stop();
    game = games.game(index);
    turned = !game.candidateWhite;
    graph.show(game);
    at("range").max = game.moves.length;
    at("game").textContent = `Pair ${game.pair}, game ${game.number}`;
    const about = [`${game.result}, ${game.termination}`, game.opening,
      game.note, game.uncounted && `not counted: ${game.uncounted}`];
    at("about").textContent = about.filter(Boolean).join(" · ");
    listMoves();
    list.mark(index);
    ply = -1;
    goTo(where);
  }

  function goTo(where) {
    const target = Math.min(Math.max(where, 0), game.moves.length);
    if (target === ply) return;
    const glides = target === ply + 1;
    ply = target;
    show(glides);
    if (ply === game.moves.length) stop();
  }

  function show(glides) {
    const position = game.positions[ply];
    const opinions = games.head.deciding.find((one) => one.pair === game.pair
      && one.game === game.number && one.ply === ply + 1);
    const move = ply ? game.moves[ply - 1] : null;
    board.draw(position, {move, glides, turned, preferences: preferences(opinions)});
    at("squares").setAttribute("aria-label", ply ? `Position after ${plyName(ply)}`
      : "Position at the start");
    at("board").dataset.fen = at("fen").value = replayRules.fen(position);
    at("words").textContent = replayBoard.inWords(position);
    at("link").href = `#game-${game.pair}-${game.number}-${ply}`;
    at("range").value = ply;
    at("range").setAttribute("aria-valuetext", plyName(ply));
    at("status").textContent = statusText();
    graph.point(ply);
    showPlayer(at("top"), turned);
    showPlayer(at("bottom"), !turned);
    showOpinion(opinions, position);
    markMove();
  }

  function showPlayer(place, white) {
    const candidate = white === game.candidateWhite;
    let last = ply; // the last move that this side has chosen itself
    while (last > game.openingPlies && game.positions[last - 1].white !== white) last--;
    const known = last > game.openingPlies;
    place.className = `replay-player replay-${kindOf(candidate)}`;
    place.replaceChildren(
      make("span", {className: "replay-name", textContent: nameOf(candidate)}),
      make("span", {className: "replay-role", textContent: `${kindOf(candidate)}, ${sideWord(white)}`}),
      make("span", {className: "replay-value", textContent: known ? signed(evaluation(last)) : ""}));
  }

  /* -- what the nets say of a position that decided -- */

  function preferences(opinions) {
    const arrows = [];
    for (const kind of opinions ? ["baseline", "candidate"] : []) {
      for (const [text, share] of opinions[kind]?.policy ?? []) {
        const move = replayRules.fromUci(game.positions[ply], text);
        const aside = kind === "candidate" ? 4 : -4;
        if (move) arrows.push({from: move.from, to: move.to, share: share / 100, kind, aside});
      }
    }
    return arrows;
  }

  function showOpinion(opinions, position) {
    at("opinion").hidden = !opinions;
    if (!opinions) return;
    const mover = opinions.mover === "candidate";
    const lines = [make("p", {}, [make("strong", {textContent: `Before ${plyName(ply + 1)}`}),
      ` ${sideWord(position.white)} to move. By search, for ${sideWord(position.white)}: `,
      `${nameOf(mover)} ${signed(opinions.mover_q)}, ${nameOf(!mover)} ${signed(opinions.opponent_q)} a ply before.`])];
    const rows = ["candidate", "baseline"].filter((kind) => opinions[kind]).map((kind) => {
      const {q, policy} = opinions[kind];
      const moves = policy.map(([text, share]) => {
        const move = replayRules.fromUci(position, text);
        return `${move ? replayRules.san(position, move) : text} ${share}\u00a0%`;
      });
      return make("tr", {className: `replay-${kind}`}, [
        make("th", {scope: "row", textContent: nameOf(kind === "candidate")}),
        make("td", {textContent: signed(q)}),
        make("td", {textContent: moves.join(", ")})]);
    });
    if (rows.length) {
      const titles = ["Without search", "Value", "Prefers"];
      const header = make("tr", {}, titles.map((textContent) => make("th", {scope: "col", textContent})));
      lines.push(make("table", {}, [make("thead", {}, [header]), make("tbody", {}, rows)]));
    }
    at("opinion").replaceChildren(...lines);
  }

  /* -- the moves -- */

  function listMoves() {
    const items = [];
    let row = null;
    for (let which = 1; which <= game.moves.length; which++) {
      const {white, number} = game.positions[which - 1];
      if (white || !row) {
        row = make("li", {}, [make("span", {className: "replay-number", textContent: `${number}.`})]);
        if (!white) row.append(make("span", {className: "replay-absent", textContent: "…"}));
        items.push(row);
      }
      const own = which > game.openingPlies;
      const button = make("button", {type: "button", tabIndex: -1, className: own
        ? `replay-${kindOf(moverIsCandidate(which))}` : "replay-opening"}, [
        make("span", {className: "replay-san", textContent: game.notation[which - 1]})]);
      if (own) {
        const value = signed(evaluation(which));
        button.append(" ", make("span", {className: "replay-value", textContent: value}));
      }
      button.dataset.ply = which;
      row.append(button);
    }
    at("moves").replaceChildren(...items);
    at("moves").tabIndex = 0;
  }

  function markMove() {
    at("moves").querySelector("[aria-current]")?.removeAttribute("aria-current");
    const button = at("moves").querySelector(`[data-ply="${ply}"]`);
    if (button) {
      button.setAttribute("aria-current", "step");
      keepInSight(at("moves"), button);
    } else {
      at("moves").scrollTop = 0;
    }
  }

  /* -- what one does -- */

  function stop() {
    clearInterval(timer);
    timer = null;
    showPlaying();
  }

  function togglePlay() {
    if (timer !== null) {
      stop();
      return;
    }
    goTo(ply === game.moves.length ? 0 : ply + 1);
    if (ply < game.moves.length) timer = setInterval(() => goTo(ply + 1), PACE);
    showPlaying();
  }

  function showPlaying() {
    const button = buttonOf("play");
    button.setAttribute("aria-label", timer === null ? "Play" : "Pause");
    button.querySelector("path").setAttribute("d", timer === null ? PLAY : PAUSE);
  }

  /* Open the next (1) or the previous (-1) game of those that pass the filter. */
  function openOther(direction) {
    const next = list.beside(game.index, direction);
    if (next !== undefined) openGame(next);
  }

  const actions = {
    first: () => goTo(0),
    back: () => goTo(ply - 1),
    forward: () => goTo(ply + 1),
    last: () => goTo(game.moves.length),
    play: togglePlay,
    flip: () => {
      turned = !turned;
      show(false);
    },
    next: () => openOther(1),
    previous: () => openOther(-1),
  };
  const KEYS = {ArrowLeft: "back", ArrowRight: "forward", ArrowUp: "first", ArrowDown: "last",
    Home: "first", End: "last", " ": "play", f: "flip", n: "next", p: "previous"};

  /* Stop a game that plays by itself, and do what is asked. */
  function act(name) {
    if (name !== "play") stop();
    actions[name]();
  }

  function onKey(event) {
    const name = KEYS[event.key];
    const inMoves = event.currentTarget === at("moves"); // which scrolls by all other keys
    if (!name || (inMoves && !["ArrowLeft", "ArrowRight"].includes(event.key))) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act(name);
  }

  function listenToBoard() {
    const place = at("board");
    let down = null;
    place.addEventListener("keydown", onKey);
    place.addEventListener("pointerdown", (event) => {
      if (event.isPrimary && event.button === 0) down = event;
    });
    place.addEventListener("pointercancel", () => {
      down = null;
    });
    place.addEventListener("pointerup", (event) => {
      if (!down || event.pointerId !== down.pointerId) return;
      const [across, along] = [event.clientX - down.clientX, event.clientY - down.clientY];
      down = null;
      const box = place.getBoundingClientRect();
      if (Math.abs(across) >= SWIPE && Math.abs(across) > Math.abs(along)) {
        act(across < 0 ? "forward" : "back");
      } else if (Math.hypot(across, along) < SWIPE / 2) {
        act(event.clientX < box.left + box.width / 2 ? "back" : "forward");
      }
    });
  }

  function listenToGraph() {
    const place = at("graph");
    const follow = (event) => {
      if (event.buttons === 0 && event.type === "pointermove") return;
      stop();
      goTo(graph.plyAt(event.clientX));
    };
    place.addEventListener("pointerdown", (event) => {
      place.setPointerCapture(event.pointerId);
      follow(event);
    });
    place.addEventListener("pointermove", follow);
  }

  const listen = (place, kind, selector, what) => place.addEventListener(kind, (event) => {
    const found = event.target.closest(selector);
    if (found) what(found);
  });

  function listenToAll() {
    listenToBoard();
    listenToGraph();
    listen(root, "click", "[data-do]", (button) => act(button.dataset.do));
    listen(at("moves"), "click", "[data-ply]", (button) => {
      stop();
      goTo(Number(button.dataset.ply));
    });
    at("moves").addEventListener("keydown", onKey);
    listen(at("list"), "click", "[data-index]", (button) => openGame(Number(button.dataset.index)));
    at("range").addEventListener("input", () => {
      stop();
      goTo(Number(at("range").value));
    });
    at("fen").addEventListener("focus", () => at("fen").select());
    for (const button of root.querySelectorAll("[data-pair]")) {
      button.disabled = false;
      button.addEventListener("click", () => {
        const {pair, game: number, ply: move} = button.dataset;
        jump(Number(pair), Number(number), Number(move) - 1);
      });
    }
    addEventListener("hashchange", followAddress);
  }

  /* Open a game of a pair at a ply and bring the board into sight. */
  function jump(pair, number, where) {
    const index = games.find(pair, number);
    if (index < 0) return;
    openGame(index, where);
    at("board").focus({preventScroll: true});
    at("top").scrollIntoView({block: "start"});
  }

  /* Go where the page's address says: "#game-12-1-34", pair, game and moves made. */
  function followAddress() {
    const found = /^#game-(\d+)-([12])-(\d+)$/.exec(location.hash);
    if (found) jump(...found.slice(1).map(Number));
    return found !== null;
  }

  async function begin() {
    if (!("DecompressionStream" in globalThis)) {
      throw new Error("this browser is older than 2023 and cannot unpack them"
        + " (it has no DecompressionStream). The same games are in games.pgn.");
    }
    games = await replayGames.unpack(at("data").textContent.trim());
    at("app").hidden = false;
    list = replayList.list(games);
    listenToAll();
    const [first] = games.head.deciding;
    openGame(first ? games.find(first.pair, first.game) : 0, first ? first.ply - 1 : 0);
    followAddress();
    root.dataset.ready = "true";
  }

  begin().catch((error) => {
    at("problem").textContent = `The games cannot be shown: ${error.message}`;
    at("problem").hidden = false;
    console.error(error);
  });
})();
