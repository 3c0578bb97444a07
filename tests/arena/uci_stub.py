"""A UCI engine that plays the first legal move there is; what it shows of itself can be chosen.

``uci_stub.py [--weights=FILE] [mute]``: with ``mute`` it says nothing at all.
"""

import sys

import chess

say = sys.stdout.write

OPTIONS = (
    "name Hash type spin default 16 min 1 max 1024",
    "name Skill Level type spin default 20 min 0 max 20",
    "name Style type combo default solid var solid var wild",
    "name Analyse type check default false",
    "name EvalFile type string default none",
    "name Ponder type check default false",
)


def main() -> None:
    board = chess.Board()
    for line in sys.stdin:
        words = line.split()
        if "mute" in sys.argv:
            continue
        match words[:1]:
            case ["uci"]:
                say("id name Stub 1.0\nid author nobody\n")
                say("".join(f"option {option}\n" for option in OPTIONS))
                say("uciok\n")
            case ["isready"]:
                say("readyok\n")
            case ["position"]:
                moves = words[words.index("moves") + 1 :] if "moves" in words else []
                end = words.index("moves") if "moves" in words else len(words)
                start = chess.STARTING_FEN if words[1] == "startpos" else " ".join(words[2:end])
                board = chess.Board(start)
                for move in moves:
                    board.push_uci(move)
            case ["go"]:
                move = min(board.legal_moves, key=chess.Move.uci)
                say(f"info depth 1 score cp 13 nodes 20 pv {move}\nbestmove {move}\n")
            case ["quit"]:
                return
        sys.stdout.flush()


if __name__ == "__main__":
    main()
