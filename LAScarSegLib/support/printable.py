"""Text from outside (cards, file names, JSON) as it may be shown: nothing in it reaches a terminal or a spreadsheet as a command."""

import logging
import re
import unicodedata

from ..errors import InputError

HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what steers a terminal, turns the writing around, or can't be encoded: control and format characters, lone
surrogates, private and unassigned code points, separators of lines and paragraphs."""
HARMLESS = frozenset({"\u200c", "\u200d"})
"""The joiners, without which words of Persian and Hindi are spelt wrongly."""
LONGEST = 2000
"""No message of ours is longer; a header's text can be."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection")."""
_PATH = re.compile(r"(?:(?<=[\s'\"(\[:=,])|^)(?:[A-Za-z]:)?[\\/]+(?:[^\\/\s'\"<>|:;,()]+[\\/]+)+")
"""The folders of an absolute path inside a text, up to the last separator."""


def printable(text: object, lines: bool = False, longest: int | None = None) -> str:
    """`text` with every character that isn't one to read replaced by a visible escape (`\\x1b`, `\\u202e`).

    Parameters
    ----------
    lines
        keep the ends of lines: terms, messages of several lines.
    longest
        what is longer ends with "…" there.
    """
    shown = "".join(_visible(character, lines) for character in str(text))
    return shown if longest is None or len(shown) <= longest else shown[: longest - 1] + "…"


def _visible(character: str, lines: bool) -> str:
    if character.isprintable() or (lines and character in "\n\t"):
        return character
    if character in HARMLESS or unicodedata.category(character) not in HIDDEN_CATEGORIES:
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        # A byte of a file name that is not UTF-8 (PEP 383).
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


class PrintableFormatter(logging.Formatter):
    """Log lines for a terminal, with what came from outside made printable."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)


def csv_text(text: str) -> str:
    """A text cell of a CSV file: one that a spreadsheet would compute begins with an apostrophe, which makes it text there."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def without_folders(text: str) -> str:
    """A message without the folders of absolute paths in it: what is kept in a result says which file, not where it lay."""
    return _PATH.sub("", text)


def require_encodable(path: object, what: str) -> None:
    """`InputError` for a path that isn't UTF-8: the libraries that read and write scans can't open it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"The name of the {what}, {printable(path)}, is not valid UTF-8, so the libraries that read scans can't open it. Rename it."
        ) from None
