"""Words that came from files and file names, made fit for a terminal, a log and a report."""

import unicodedata

UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of characters that steer a terminal, turn text round, or are no characters at all (UAX 44, table 12)."""
LONGEST = 2000
"""No message of ours is longer; a header's text can be."""


def printable(text: object, longest: int = LONGEST) -> str:
    r"""`text` on one line, with control characters, escape sequences and undecodable bytes written out (`\x1b`), at most `longest` characters.

    >>> printable("LGE\x1b[31m")
    'LGE\\x1b[31m'
    """
    shown = "".join(_shown(character) for character in str(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _shown(character: str) -> str:
    if unicodedata.category(character) not in UNPRINTABLE:
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        # A byte of a file name that is not UTF-8 (PEP 383).
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
