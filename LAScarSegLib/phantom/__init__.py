"""A synthetic LGE-MRI of the left atrium with its whole truth, for tests, training and the demo. Never a patient score.

`datasets.phantoms` writes them to disk.
"""

from .phantom import Phantom, make_phantom
from .settings import FULL_FIELD_OF_VIEW, HEART_FIELD_OF_VIEW, PhantomSettings, oblique_direction
from .truth import LesionTruth, PhantomTruth

__all__ = [
    "FULL_FIELD_OF_VIEW", "HEART_FIELD_OF_VIEW", "LesionTruth", "Phantom", "PhantomSettings", "PhantomTruth", "make_phantom",
    "oblique_direction",
]  # fmt: skip
