"use strict";
/* All games of the match, unpacked from the page; arena/report/replay/packing.py says how they are packed. */
const replayGames = (() => {
  async function inflate(base64) {
    const packed = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const sums = (lengths) => {
    const ends = [0];
    for (const length of lengths) ends.push(ends[ends.length - 1] + length);
    return ends;
  };

  /* Undo the differences from the same player's value before, modulo 256. */
  function restored(differences) {
    const values = new Int8Array(differences.length);
    differences.forEach((difference, place) => {
      values[place] = (place < 2 ? 0 : values[place - 2]) + difference;
    });
    return values;
  }

  /* Read the packed games; ``game(index)`` gives one, by its place in the list. */
  async function unpack(base64) {
    const bytes = await inflate(base64);
    const size = new DataView(bytes.buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
    const openingEnds = sums(head.openings.map(([, plies]) => plies));
    const ends = sums(head.plies);
    const numbers = sums(head.numbers).slice(1);
    const opened = sums(head.opened).slice(1);
    const total = ends[ends.length - 1];
    const first = 4 + size + openingEnds[openingEnds.length - 1];
    const openingRanks = bytes.subarray(4 + size, first);
    const column = (which) => bytes.subarray(first + which * total, first + (which + 1) * total);
    const [ranks, evaluations, draws] = [column(0), column(1), column(2)];

    /* What lists and filters want to know of a game. */
    function outline(index) {
      const pair = numbers[index >> 1];
      const candidateWhite = index % 2 === 0;
      const white = head.white[index];
      return {
        index, pair, number: index % 2 + 1, candidateWhite,
        points: candidateWhite ? white : 1 - white,
        result: white === 1 ? "1-0" : white === 0 ? "0-1" : "½-½",
        termination: head.terminations[head.ends[index]],
        opening: head.openings[opened[index >> 1]][2],
        uncounted: head.uncounted[pair] || "",
        note: head.notes[index] || "",
      };
    }

    /* The whole game; ``evaluations`` and ``draws`` begin behind the opening, in hundredths. */
    function game(index) {
      const opening = opened[index >> 1];
      const [start, openingPlies] = head.openings[opening];
      const own = (bytes) => bytes.subarray(ends[index], ends[index + 1]);
      const moves = [
        ...openingRanks.subarray(openingEnds[opening], openingEnds[opening + 1]), ...own(ranks)];
      return {
        ...outline(index), openingPlies,
        ...replayRules.replay(head.starts[start], moves),
        evaluations: restored(own(evaluations)),
        draws: draws.length ? restored(own(draws)) : null,
      };
    }

    /* The place of a game in the list, by its pair (from 1) and number (1 or 2); -1: not there. */
    function find(pair, number) {
      const place = numbers.indexOf(pair);
      return place < 0 ? -1 : place * 2 + number - 1;
    }

    return {head, count: head.plies.length, outline, game, find};
  }

  return {unpack, restored};
})();
