"""Where a command speaks: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ["Terminal"]


@dataclass
class Terminal:
    """What the options say about output. Made before they are read, so that errors know them."""

    json: bool = False
    no_color: bool = False
    quiet: bool = False

    def say(self, text: str) -> None:
        """A line of the result."""
        sys.stdout.write(text + "\n")

    def say_error(self, text: str) -> None:
        """A line that is not the result."""
        sys.stdout.flush()
        sys.stderr.write(text + "\n")

    def say_json(self, value: Any) -> None:
        """The result for a machine; NaN and infinities are null."""
        import json

        from graphc.session import json_ready

        self.say(json.dumps(json_ready(value), indent=2, ensure_ascii=False, allow_nan=False))

    def color(self, stream: TextIO) -> bool:
        """Whether colour is welcome on a stream."""
        refused = self.no_color or bool(os.environ.get("NO_COLOR"))
        return not refused and self.live(stream)

    def live(self, stream: TextIO) -> bool:
        """Whether a person is watching the stream."""
        return stream.isatty() and os.environ.get("TERM") != "dumb"
