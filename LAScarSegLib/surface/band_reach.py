"""How far a path around a vein may run from its ostium: a person's choice, the same for all veins or another for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..support.checks import require_number
from .gaps import BAND_MM, INSIDE_MM
from .planes import LEFT_NAMES, RIGHT_NAMES

LEAST_BAND_MM, MOST_BAND_MM = 1.0, 40.0
"""A path needs an edge of the mesh to run on (1 mm, `Settings.mesh_edge_mm`). Farther out the bands of the two sides meet: half the way
round a ball of 110 ml, the median atrium (SCIENCE section 7), is 93 mm."""
MOST_INSIDE_MM = 15.0
"""From there on a vein branches (11–15 mm from its ostium, SCIENCE section 7)."""
ENCIRCLED = (*LEFT_NAMES, *RIGHT_NAMES, "left pair", "right pair")
"""All names of what can be encircled."""


@dataclass(frozen=True)
class BandReach:
    """The bands' lengths along the surface, mm: outside the ostium, into the vein, and single names' own in the place of `outside_mm`.

    Raises
    ------
    InputError
        from the constructor: a length that can't be, a name that nothing has.
    """

    outside_mm: float = BAND_MM
    inside_mm: float = INSIDE_MM
    own_mm: tuple[tuple[str, float], ...] = ()
    """(name, mm) in the order of `ENCIRCLED`; a mapping is taken, too."""

    def __post_init__(self) -> None:
        own = dict(self.own_mm)
        require_number("The band outside the ostium (mm)", self.outside_mm, LEAST_BAND_MM, MOST_BAND_MM)
        require_number("The band into the vein (mm)", self.inside_mm, 0.0, MOST_INSIDE_MM)
        for name, value in own.items():
            if name not in ENCIRCLED:
                raise InputError(f"Nothing that is encircled is called {name!r}; a band can be given for {', '.join(ENCIRCLED)}.")
            require_number(f"The band of {name} (mm)", value, LEAST_BAND_MM, MOST_BAND_MM)
        object.__setattr__(self, "outside_mm", float(self.outside_mm))
        object.__setattr__(self, "inside_mm", float(self.inside_mm))
        object.__setattr__(self, "own_mm", tuple((name, float(own[name])) for name in ENCIRCLED if name in own))

    def of(self, name: str) -> float:
        """How far outside the ostium the band of `name` reaches, mm."""
        return dict(self.own_mm).get(name, self.outside_mm)

    @property
    def by_name(self) -> dict[str, float]:
        """The same of every name."""
        return {name: self.of(name) for name in ENCIRCLED}

    def with_band(self, name: str, outside_mm: float) -> BandReach:
        """With another length outside the ostium, for one name, or ("") for all that have none of their own."""
        if not name:
            return BandReach(outside_mm, self.inside_mm, self.own_mm)
        return BandReach(self.outside_mm, self.inside_mm, _without_common(dict(self.own_mm) | {name: outside_mm}, self.outside_mm))

    def with_inside(self, inside_mm: float) -> BandReach:
        """With another length into the veins."""
        return BandReach(self.outside_mm, inside_mm, self.own_mm)

    def changed_by(self, bands: Sequence[str], inside_mm: float | None = None) -> BandReach:
        """As a person typed it: `18` for all, `LSPV=12` for one; nothing keeps what there is."""
        changed = self if inside_mm is None else self.with_inside(inside_mm)
        for text in bands:
            name, _, number = text.rpartition("=")
            try:
                value = float(number)
            except ValueError:
                raise InputError(
                    f"The band {text!r} is no number of millimetres. Give one for all (18), or for one name (LSPV=12)."
                ) from None
            changed = changed.with_band(name.strip(), value)
        return changed

    def to_json(self) -> dict[str, Any]:
        return {"outside_mm": self.outside_mm, "inside_mm": self.inside_mm, "own_mm": dict(self.own_mm)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> BandReach:
        """From what `to_json` gave; what is missing is as usual. Raises `InputError` for anything else."""
        unknown = sorted(set(content) - {"outside_mm", "inside_mm", "own_mm"}) if isinstance(content, Mapping) else [repr(content)]
        own = content.get("own_mm", {}) if not unknown else {}
        if unknown or not isinstance(own, Mapping):
            raise InputError(
                f"The band can't be read ({', '.join(unknown) or own!r}); it has outside_mm, inside_mm and own_mm (millimetres by name)."
            )
        return cls(content.get("outside_mm", BAND_MM), content.get("inside_mm", INSIDE_MM), tuple(own.items()))


def _without_common(own: Mapping[str, float], common_mm: float) -> Iterable[tuple[str, float]]:
    """Without those that are no other than everybody's."""
    return tuple((name, value) for name, value in own.items() if value != common_mm)
