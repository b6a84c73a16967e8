"""JSON from outside, bounded: a small file of a person or a program, not something that fills the memory or the stack."""

import json
from typing import Any

DEEPEST = 64
"""Objects and lists inside each other; the deepest of ours, a scene's markups, has 8."""
LARGEST_BYTES = 16 << 20
"""A request has some kilobytes, markups some hundred, a result's description with its packed masks some hundred as well."""


def parse_json(text: str | bytes, largest: int = LARGEST_BYTES) -> Any:
    """The content of a JSON text.

    Raises
    ------
    ValueError
        it is no JSON, not UTF-8, longer than `largest` bytes, or deeper than `DEEPEST`; the words end a sentence.
    """
    if len(text) > largest:
        raise ValueError(f"it has {len(text):,} characters, more than the {largest:,} it may have")
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check_depth(content)
    return content


_TOO_DEEP = f"objects and lists lie more than {DEEPEST} deep in each other"


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(DEEPEST + 1):
        level = [
            item for holder in level if isinstance(holder, (dict, list)) for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)
