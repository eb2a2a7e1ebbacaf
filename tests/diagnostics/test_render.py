"""The picture of a diagnostic, character by character."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.diagnostics import (
    MOST_ERRORS,
    CompileError,
    Diagnostic,
    Diagnostics,
    Label,
    Source,
    Span,
)
from graphc.diagnostics.render import render_diagnostic, render_json, render_text

BAD = Source(
    "bad.gc",
    """\
model bad
input x: real[n, 64]
target y: label{10}[n]



param W2: real[64, 10] = 0
h = x |> dense{128}
logits = h @ W2
""",
)


def place(source: Source, text: str, occurrence: int = 0) -> Span:
    start = -1
    for _ in range(occurrence + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def matmul_error() -> Diagnostic:
    line = BAD.text.index("logits")
    h, at, w2 = line + 9, line + 11, line + 13
    return Diagnostic(
        "error",
        "E204",
        "the inner dimensions of `@` differ: 128 and 64",
        Span(BAD, at, at + 1),
        labels=(
            Label(Span(BAD, h, h + 1), "real[n, 128], from dense{128} at line 8"),
            Label(Span(BAD, w2, w2 + 2), "real[64, 10], declared at line 7"),
        ),
        help="declare W2 as real[128, 10], or make h 64 wide",
    )


def test_the_picture_of_the_language_page() -> None:
    assert render_diagnostic(matmul_error()) == (
        "error[E204]: the inner dimensions of `@` differ: 128 and 64\n"
        "  --> bad.gc:9:12\n"
        "   |\n"
        " 9 | logits = h @ W2\n"
        "   |          - ^ -- real[64, 10], declared at line 7\n"
        "   |          |\n"
        "   |          real[n, 128], from dense{128} at line 8\n"
        "   = help: declare W2 as real[128, 10], or make h 64 wide"
    )


def test_a_list_ends_with_its_count() -> None:
    found = Diagnostics()
    assert render_text(found) == ""
    found.warning("W301", "unused")
    assert render_text(found) == "warning[W301]: unused"
    found.error("E001", "no such file", help="look again")
    assert render_text(found) == (
        "warning[W301]: unused\n\nerror[E001]: no such file\n  = help: look again\n\n"
        "1 error, 1 warning"
    )
    found.error("E002", "another")
    assert render_text(found).endswith("\n\n2 errors, 1 warning")


def test_places_in_other_lines_and_files() -> None:
    text = "".join(f"v{number} = {number}\n" for number in range(1, 13))
    source, other = Source("a.gc", text), Source("lib/b.gc", "\n\n    def f(x) = x\n")
    diagnostic = Diagnostic(
        "error",
        "E210",
        "many places",
        place(source, "v11"),
        "here",
        labels=(
            Label(place(source, "v3"), "near"),
            Label(place(source, "v5"), ""),
            Label(place(other, "def"), "defined here"),
        ),
        notes=("one\ntwo",),
        help="first\nsecond",
    )
    assert render_diagnostic(diagnostic) == (
        "error[E210]: many places\n"
        "   --> a.gc:11:1\n"
        "    |\n"
        "  3 | v3 = 3\n"
        "    | -- near\n"
        "  4 | v4 = 4\n"
        "  5 | v5 = 5\n"
        "    | --\n"
        "...\n"
        " 11 | v11 = 11\n"
        "    | ^^^ here\n"
        "   ::: lib/b.gc:3:5\n"
        "    |\n"
        "  3 |     def f(x) = x\n"
        "    |     --- defined here\n"
        "    = note: one\n"
        "            two\n"
        "    = help: first\n"
        "            second"
    )


def test_three_labels_hang_from_right_to_left() -> None:
    source = Source("a.gc", "y = aa + bb + cc\n")
    diagnostic = Diagnostic(
        "warning",
        "W1",
        "t",
        place(source, "bb"),
        "middle",
        labels=(Label(place(source, "aa"), "left"), Label(place(source, "cc"), "right")),
    )
    assert render_diagnostic(diagnostic).split("\n")[3:] == [
        " 1 | y = aa + bb + cc",
        "   |     --   ^^   -- right",
        "   |     |    |",
        "   |     |    middle",
        "   |     left",
    ]


def picture(text: str, start: int, end: int, label: str = "") -> list[str]:
    source = Source("a.gc", text)
    return render_diagnostic(Diagnostic("error", "E1", "t", Span(source, start, end), label)).split(
        "\n"
    )[3:]


def test_wide_characters_tabs_and_control_characters() -> None:
    assert picture("\tx = 1", 1, 2) == [" 1 |     x = 1", "   |     ^"]
    assert picture('"日本" + y', 7, 8) == [' 1 | "日本" + y', "   |          ^"]
    assert picture("e\u0301 + y", 5, 6) == [" 1 | e\u0301 + y", "   |     ^"]
    assert picture("\x1b[31m + y", 0, 1) == [" 1 | \\x1b[31m + y", "   | ^^^^"]
    assert picture("a \u202e b", 5, 5) == [" 1 | a \\u202e b", "   |           ^"]
    assert picture("x \ud800", 2, 3) == [" 1 | x \\ud800", "   |   ^^^^^^"]


def test_a_span_of_several_lines_is_shown_by_its_first() -> None:
    assert picture("a = (1 +\n  2)\n", 4, 13, "here") == [
        " 1 | a = (1 +",
        "   |     ^^^^ here",
    ]


def test_the_end_of_a_line_and_of_the_text_have_a_place() -> None:
    assert picture("a =\nb = 1", 3, 3) == [" 1 | a =", "   |    ^"]
    assert picture("a =", 3, 3) == [" 1 | a =", "   |    ^"]
    assert picture("", 0, 0) == [" 1 |", "   | ^"]


def test_a_long_line_is_shortened_around_its_caret() -> None:
    text = "x" * 5000 + " HERE " + "y" * 5000
    shown, underline = picture(text, 5001, 5005, "label")
    assert shown.startswith(" 1 | …xxx")
    assert shown.endswith("yyy…")
    assert len(shown) < 150
    assert shown.index("HERE") == underline.index("^^^^")


def test_colour_changes_nothing_but_colour() -> None:
    plain = render_diagnostic(matmul_error())
    coloured = render_diagnostic(matmul_error(), color=True)
    assert "\x1b[1;31merror[E204]\x1b[0m" in coloured
    assert "\x1b[1;34m" in coloured
    for code in ("1;31", "1;33", "1;34", "1", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


def test_json() -> None:
    found = Diagnostics()
    found.add(matmul_error())
    found.warning("W1", "nowhere", notes=("n",))
    first, second = json.loads(render_json(found))
    assert first["severity"] == "error"
    assert (first["file"], first["line"], first["column"]) == ("bad.gc", 9, 12)
    assert (first["end_line"], first["end_column"]) == (9, 13)
    assert first["labels"][1]["text"] == "real[64, 10], declared at line 7"
    assert (first["labels"][1]["line"], first["labels"][1]["column"]) == (9, 14)
    assert second["file"] is None
    assert second["notes"] == ["n"]


@given(st.text(max_size=300), st.data())
def test_any_text_and_place_can_be_shown(text: str, data: st.DataObject) -> None:
    source = Source("a.gc", text)
    offsets = st.integers(0, len(text))
    spans = [Span(source, data.draw(offsets), data.draw(offsets)) for _ in range(3)]
    labels = (Label(spans[1], text[:20]), Label(spans[2], "label"))
    diagnostic = Diagnostic("error", "E1", text[:30], spans[0], "main", labels, (text,), text)
    shown = render_text([diagnostic])
    assert "\x1b" not in shown
    shown.encode()
    json.loads(render_json([diagnostic]))


def test_many_diagnostics_are_cut_errors_first() -> None:
    bag = Diagnostics()
    for number in range(150):
        bag.warning("W1", f"warning {number}")
    bag.error("E1", "the error")
    text = render_text(bag)
    assert "error[E1]: the error\n\n… and 31 more\n\n1 error, 150 warnings" in text
    assert "warning 118" in text
    assert "warning 119" not in text


def test_a_text_with_very_many_errors_is_read_no_further() -> None:
    bag = Diagnostics()
    for number in range(MOST_ERRORS - 1):
        bag.error("E1", f"error {number}")
    with pytest.raises(CompileError):
        bag.error("E1", "one more")
    assert len(bag.errors) == MOST_ERRORS
