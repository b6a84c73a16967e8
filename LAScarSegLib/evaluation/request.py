"""An evaluation from paths to scores, as the command line asks for it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from ..datasets.layouts import CAVITY, MASK, listed
from ..datasets.pairs import find_cases, pair_cases
from ..errors import InputError
from ..support.progress import Progress
from .metrics import DEFAULT_TOLERANCE_MM
from .score_tables import Evaluation
from .scores import score_pairs


@dataclass(frozen=True)
class EvaluationRequest:
    """What to compare (`pairs.find_cases`) and how (`scores.score_pairs`)."""

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

    Raises `InputError`: see `find_cases`, `pair_cases`, `score_pairs`; or the second method has other cases than the first.
    """
    progress = progress or Progress()
    structure = request.structure or MASK
    references = find_cases(request.reference, structure)
    # Whatever a file given as --cavity is called, it shows the cavity.
    cavities = None if request.cavity is None else find_cases(request.cavity, CAVITY)
    methods = [
        pair_cases(find_cases(path, structure), references, cavities, structure=request.structure, subset=request.subset)
        for path in (request.prediction, request.against)
        if path is not None
    ]
    first, last = ({(pair.structure, pair.case) for pair in pairs} for pairs in (methods[0], methods[-1]))
    differing = [f"{case} ({structure})" for structure, case in sorted(first ^ last)]
    if differing:
        raise InputError(
            f"The two methods don't have the same cases, so they can't be paired: {listed(differing)} is only in one of them."
        )
    scores = [
        score_pairs(pairs, request.tolerance_mm, request.label, progress.part(number / len(methods), (number + 1) / len(methods)))
        for number, pairs in enumerate(methods)
    ]
    settings = {key: value.resolve().name if isinstance(value, Path) else value for key, value in asdict(request).items()}
    return Evaluation(scores[0], scores[1] if len(scores) > 1 else [], settings)
