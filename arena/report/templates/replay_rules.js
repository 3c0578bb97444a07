"use strict";
/* The laws of chess, Chess960 included, as far as a replay needs them. Pure functions.

   A position: {board: 64 pieces, "" or as FEN has them, a1 = 0, h8 = 63; white: whether White is to
   move; rooks: squares of the rooks that may still castle; ep: the square that a pawn has just
   skipped, or -1; clock, number: FEN's last two}.
   A move: {from, to, promotion: "", "q", "r", "b" or "n", rook: where it stands that castles, or -1;
   taken: square of the piece that is captured, or -1}. Castling's ``to`` is the king's. */
const replayRules = (() => {
  const FILES = "abcdefgh";
  const STRAIGHT = [[0, 1], [0, -1], [1, 0], [-1, 0]];
  const DIAGONAL = [[1, 1], [1, -1], [-1, 1], [-1, -1]];
  const KNIGHT = [[1, 2], [2, 1], [2, -1], [1, -2], [-1, -2], [-2, -1], [-2, 1], [-1, 2]];
  const STEPS = {n: KNIGHT, b: DIAGONAL, r: STRAIGHT, q: [...STRAIGHT, ...DIAGONAL],
    k: [...STRAIGHT, ...DIAGONAL]};
  const PROMOTIONS = ["q", "r", "b", "n"];

  const isWhite = (piece) => piece !== "" && piece < "a";
  const isOwn = (piece, white) => piece !== "" && isWhite(piece) === white;
  const named = (kind, white) => (white ? kind.toUpperCase() : kind);
  const squareName = (square) => FILES[square & 7] + ((square >> 3) + 1);

  /* The square so many files and ranks away, or -1 beyond the edge. */
  function step(square, files, ranks) {
    const file = (square & 7) + files;
    const rank = (square >> 3) + ranks;
    return file >= 0 && file < 8 && rank >= 0 && rank < 8 ? rank * 8 + file : -1;
  }

  /* Read a FEN whose castling rights are the rooks' files ("HAha"), as the packed games have them. */
  function parse(fen) {
    const [places, turn, castling, ep, clock, number] = fen.split(" ");
    const board = Array(64).fill("");
    places.split("/").forEach((row, index) => {
      let square = (7 - index) * 8;
      for (const sign of row) {
        if (sign >= "1" && sign <= "8") square += Number(sign);
        else board[square++] = sign;
      }
    });
    const rooks = castling === "-" ? [] : [...castling].map(
      (sign) => FILES.indexOf(sign.toLowerCase()) + (isWhite(sign) ? 0 : 56));
    const skipped = ep === "-" ? -1 : FILES.indexOf(ep[0]) + 8 * (Number(ep[1]) - 1);
    return {board, white: turn === "w", rooks, ep: skipped,
      clock: Number(clock), number: Number(number)};
  }

  /* Whether a piece of White (or Black) attacks the square. */
  function attacked(board, square, byWhite) {
    const reaches = (steps, kinds, far) => steps.some(([files, ranks]) => {
      let at = step(square, files, ranks);
      while (far && at >= 0 && board[at] === "") at = step(at, files, ranks);
      return at >= 0 && isOwn(board[at], byWhite) && kinds.includes(board[at].toLowerCase());
    });
    const behind = byWhite ? -1 : 1;
    return reaches(STRAIGHT, "rq", true) || reaches(DIAGONAL, "bq", true)
      || reaches(KNIGHT, "n", false) || reaches(STEPS.k, "k", false)
      || reaches([[-1, behind], [1, behind]], "p", false);
  }

  const kingOf = (position, white) => position.board.indexOf(named("k", white));

  function inCheck(position) {
    const king = kingOf(position, position.white);
    return king >= 0 && attacked(position.board, king, !position.white);
  }

  function pawnMoves(position, from, moves) {
    const {board, white} = position;
    const ahead = white ? 1 : -1;
    const add = (to, taken) => {
      const last = to >> 3 === (white ? 7 : 0);
      for (const promotion of last ? PROMOTIONS : [""]) {
        moves.push({from, to, promotion, rook: -1, taken});
      }
    };
    const one = step(from, 0, ahead);
    if (one >= 0 && board[one] === "") {
      add(one, -1);
      const two = step(one, 0, ahead);
      if (from >> 3 === (white ? 1 : 6) && board[two] === "") add(two, -1);
    }
    for (const side of [-1, 1]) {
      const to = step(from, side, ahead);
      if (to < 0) continue;
      if (isOwn(board[to], !white)) add(to, to);
      else if (to === position.ep && board[to] === "") add(to, to - 8 * ahead);
    }
  }

  function pieceMoves(position, from, kind, moves) {
    const {board, white} = position;
    for (const [files, ranks] of STEPS[kind]) {
      let to = step(from, files, ranks);
      while (to >= 0 && !isOwn(board[to], white)) {
        moves.push({from, to, promotion: "", rook: -1, taken: board[to] === "" ? -1 : to});
        if (board[to] !== "" || kind === "n" || kind === "k") break;
        to = step(to, files, ranks);
      }
    }
  }

  function castlingMoves(position, king, moves) {
    const {board, white} = position;
    const row = white ? 0 : 56;
    for (const rook of position.rooks) {
      if (rook >> 3 !== row >> 3 || board[rook] !== named("r", white)) continue;
      const to = row + (rook > king ? 6 : 2);
      const rookTo = row + (rook > king ? 5 : 3);
      const low = Math.min(king, rook, to, rookTo);
      const high = Math.max(king, rook, to, rookTo);
      const without = board.slice();
      without[king] = "";
      let free = true;
      for (let square = low; square <= high; square++) {
        const inKingsWay = square >= Math.min(king, to) && square <= Math.max(king, to);
        const inRooksWay = square >= Math.min(rook, rookTo) && square <= Math.max(rook, rookTo);
        if (!inKingsWay && !inRooksWay) continue;
        if (square !== king && square !== rook && board[square] !== "") free = false;
        if (inKingsWay && attacked(without, square, !white)) free = false;
      }
      if (free) moves.push({from: king, to, promotion: "", rook, taken: -1});
    }
  }

  /* All legal moves, in no order that means anything. */
  function legalMoves(position) {
    const moves = [];
    position.board.forEach((piece, from) => {
      if (!isOwn(piece, position.white)) return;
      const kind = piece.toLowerCase();
      if (kind === "p") pawnMoves(position, from, moves);
      else pieceMoves(position, from, kind, moves);
      if (kind === "k") castlingMoves(position, from, moves);
    });
    return moves.filter((move) => {
      const next = play(position, move);
      const king = kingOf(next, position.white);
      return king < 0 || !attacked(next.board, king, !position.white);
    });
  }

  /* The position after a legal move. */
  function play(position, move) {
    const {white} = position;
    const board = position.board.slice();
    const piece = board[move.from];
    const kind = piece.toLowerCase();
    if (move.taken >= 0) board[move.taken] = "";
    board[move.from] = "";
    if (move.rook >= 0) {
      board[move.rook] = "";
      board[move.to + (move.rook > move.from ? -1 : 1)] = named("r", white);
    }
    board[move.to] = move.promotion ? named(move.promotion, white) : piece;
    const lost = (rook) => rook === move.from || rook === move.taken
      || (kind === "k" && rook >> 3 === (white ? 0 : 7));
    const twice = kind === "p" && Math.abs(move.to - move.from) === 16;
    return {
      board,
      white: !white,
      rooks: position.rooks.filter((rook) => !lost(rook)),
      ep: twice ? (move.from + move.to) / 2 : -1,
      clock: kind === "p" || move.taken >= 0 ? 0 : position.clock + 1,
      number: position.number + (white ? 0 : 1),
    };
  }

  /* Legal moves in the order of the net's policy, by which the packed games count them: seen from
     the mover, by from and to, a knight's promotion as a plain move, the others behind all. */
  function inPolicyOrder(position) {
    const mirror = position.white ? 0 : 56;
    const key = ({from, to, promotion, rook}) => {
      const plain = (from ^ mirror) * 64 + ((rook >= 0 ? rook : to) ^ mirror);
      const piece = PROMOTIONS.indexOf(promotion);
      return piece < 0 || promotion === "n" ? plain : 4096 + plain * 4 + piece;
    };
    return legalMoves(position).sort((one, other) => key(one) - key(other));
  }

  /* A move in standard algebraic notation, with check and mate. */
  function san(position, move, legal = legalMoves(position)) {
    const next = play(position, move);
    const sign = inCheck(next) ? (legalMoves(next).length ? "+" : "#") : "";
    if (move.rook >= 0) return (move.rook > move.from ? "O-O" : "O-O-O") + sign;
    const kind = position.board[move.from].toLowerCase();
    const capture = move.taken >= 0 ? "x" : "";
    const target = squareName(move.to);
    if (kind === "p") {
      const promotion = move.promotion ? "=" + move.promotion.toUpperCase() : "";
      return (capture ? FILES[move.from & 7] : "") + capture + target + promotion + sign;
    }
    const others = legal.filter((other) => other.to === move.to && other.from !== move.from
      && other.rook < 0 && position.board[other.from] === position.board[move.from]);
    const sameFile = others.some((other) => (other.from & 7) === (move.from & 7));
    const sameRank = others.some((other) => other.from >> 3 === move.from >> 3);
    const file = others.length && (!sameFile || sameRank) ? FILES[move.from & 7] : "";
    const rank = sameFile ? String((move.from >> 3) + 1) : "";
    return kind.toUpperCase() + file + rank + capture + target + sign;
  }

  /* Castling rights as X-FEN has them: K, Q, k, q where the rook is the outermost, else its file. */
  function castlingText(position) {
    let text = "";
    for (const white of [true, false]) {
      const row = white ? 0 : 56;
      const king = kingOf(position, white);
      const own = position.rooks.filter((rook) => rook >> 3 === row >> 3);
      for (const rook of own.sort((one, other) => other - one)) {
        const right = rook > king;
        let outermost = true;
        for (let square = right ? rook + 1 : row; square < (right ? row + 8 : rook); square++) {
          if (position.board[square] === named("r", white)) outermost = false;
        }
        text += named(outermost ? (right ? "k" : "q") : FILES[rook & 7], white);
      }
    }
    return text || "-";
  }

  /* The position as FEN; the en passant square only where a capture there is legal. */
  function fen(position) {
    const rows = [];
    for (let rank = 7; rank >= 0; rank--) {
      const row = position.board.slice(rank * 8, rank * 8 + 8).map((piece) => piece || "1").join("");
      rows.push(row.replace(/1+/g, (empty) => empty.length));
    }
    const captured = position.ep >= 0 && legalMoves(position).some((move) => move.taken >= 0
      && move.taken !== move.to);
    return [rows.join("/"), position.white ? "w" : "b", castlingText(position),
      captured ? squareName(position.ep) : "-", position.clock, position.number].join(" ");
  }

  /* All positions of a game, from its start, with the moves and their notation. */
  function replay(startFen, ranks) {
    const positions = [parse(startFen)];
    const moves = [];
    const notation = [];
    for (const rank of ranks) {
      const position = positions[positions.length - 1];
      const legal = inPolicyOrder(position);
      const move = legal[rank];
      moves.push(move);
      notation.push(san(position, move, legal));
      positions.push(play(position, move));
    }
    return {positions, moves, notation};
  }

  /* The legal move that UCI spells so, castling as the king moves or as it takes its rook. */
  function fromUci(position, text) {
    return legalMoves(position).find(({from, to, promotion, rook}) => {
      const ends = rook >= 0 ? [squareName(rook), squareName(to)] : [squareName(to)];
      return ends.some((end) => squareName(from) + end + promotion === text);
    });
  }

  return {parse, play, legalMoves, inPolicyOrder, inCheck, san, fen, replay, fromUci, squareName,
    kingOf};
})();
