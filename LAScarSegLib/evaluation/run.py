"""An evaluation from paths to scores, as the command line asks for it."""

from dataclasses import dataclass, fields
from pathlib import Path

from ..datasets.layouts import MASK, listed
from ..datasets.pairs import CaseSet, Pair, find_cases, pair_cases
from ..errors import InputError
from ..support.progress import Progress
from .metrics import DEFAULT_TOLERANCE_MM
from .score_tables import Evaluation
from .scores import CaseScore, score_pairs


@dataclass(frozen=True)
class EvaluationRequest:
    """What to compare (`cases.find_cases`) and how (`scores.score_pairs`)."""

    prediction: Path
    reference: Path
    against: Path | None = None
    """Predictions of a second method for the same references."""
    cavity: Path | None = None
    """Reference cavities, when they don't lie beside the reference scars."""
    structure: str | None = None
    tolerance_mm: float = DEFAULT_TOLERANCE_MM
    label: int | None = None
    subset: bool = False


def run_evaluation(request: EvaluationRequest, progress: Progress | None = None) -> Evaluation:
    """Find, pair and score; everything is paired before the first file is read.

    Raises
    ------
    InputError
        see `find_cases`, `pair_cases`, `score_pairs`; or the second method has other cases than the first.
    """
    progress = progress or Progress()
    structure = request.structure or MASK
    references = find_cases(request.reference, structure)
    # Whatever a file given as --cavity is called, it shows the cavity.
    cavities = None if request.cavity is None else find_cases(request.cavity, "cavity")

    def paired(predictions: CaseSet) -> list[Pair]:
        return pair_cases(predictions, references, cavities, structure=request.structure, subset=request.subset)

    first = paired(find_cases(request.prediction, structure))
    second = [] if request.against is None else paired(find_cases(request.against, structure))
    if second:
        _require_same_cases([(p.structure, p.case) for p in first], [(p.structure, p.case) for p in second])
    share = len(first) / (len(first) + len(second))
    scores = score_pairs(first, request.tolerance_mm, request.label, progress.part(0.0, share))
    against: list[CaseScore] = []
    if second:
        against = score_pairs(second, request.tolerance_mm, request.label, progress.part(share, 1.0))
    settings = {f.name: _json_ready(getattr(request, f.name)) for f in fields(request)}
    return Evaluation(scores, against, settings, request.tolerance_mm)


def _require_same_cases(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
    differing = [f"{case} ({structure})" for structure, case in sorted(set(first) ^ set(second))]
    if differing:
        raise InputError(
            f"The two methods don't have the same cases, so they can't be paired: {listed(differing)} is only in one of them."
        )


def _json_ready(value: object) -> object:
    return str(value.resolve()) if isinstance(value, Path) else value
