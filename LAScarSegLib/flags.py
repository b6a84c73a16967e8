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


def simulated_model(name: str) -> QualityFlag:
    """The warning that goes with every result of a model that was trained on simulated scans."""
    return QualityFlag("simulated", f"The model {name} was trained on simulated scans: its result says nothing about a patient.")
