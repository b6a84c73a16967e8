"""Quality flags: what a reader of the result should know before trusting it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class QualityFlag:
    """One remark about the input or the result.

    `code` is stable and machine-readable (`"cavity_touches_border"`), `message` is plain words with the value,
    `severity` is `"warning"` (the numbers may be off) or `"note"` (good to know).
    """

    code: str
    message: str
    severity: str = "warning"

    def to_json(self) -> dict[str, str]:
        return asdict(self)
