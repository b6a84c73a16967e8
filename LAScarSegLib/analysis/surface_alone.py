"""A surface that somebody else made, measured without a scan: what the mesh and its scar alone can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..measure.headline import Headline
from ..measure.numbers import ON_MEASURED, ON_SURFACE, Quantity
from ..measure.quality import check_mitral_leak, check_volume
from ..measure.sample import Levels, Sample
from ..measure.surface_alone import surface_measurements, surface_sample
from ..support.flags import NOTE, QualityFlag, gravest_first
from ..surface.band_reach import BandReach
from ..surface.findings import Findings, Landmarks
from ..surface.mesh_files import MeshScar, SurfaceFile, scar_of
from ..surface.planes import CutPlane, reach_beyond_mitral_mm, remarks_on_planes
from ..surface.region_schemes import USUAL_SCHEME
from ..surface.shared_openings import remarks_on_openings
from ..surface.surface import Surface
from .method import ScarMethod
from .provenance import describe_program
from .sources import File, PlanesToFind
from .surface_planes import SurfacePlanes

ARRAY = "array"
"""The method's name in measurements.json: scar by an array of the mesh."""
NO_SCAR = "none"
"""The same where no array was named."""
MADE_FROM = "surface"
"""`made_from` in provenance.json: no scan belongs to the result."""
FEW_MISSING_PCT = 1.0
"""Of the surface: so little without a value is good to know, and no warning."""
NEARBY_SHARE = 0.05
"""A gap depends on the limit of scar where, with the limit moved by this share of itself towards more scar, less than the least gap's
length of its own course stays healthy in a row. At limits near blood (ratios of 1 to 1.3) that is the step of a scan, 0.05 of the blood's
mean (`surface_findings.NEARBY_IIR`), which no mesh tells."""


@dataclass(frozen=True, eq=False)
class SurfaceAnalysis:
    """What was found on a surface alone. `measurements` holds the numbers of the catalogue that need no scan, and no others."""

    surface: Surface
    measurements: dict[str, Quantity]
    method: ScarMethod
    chosen: SurfacePlanes
    findings: Findings
    flags: tuple[QualityFlag, ...]
    provenance: dict[str, Any]
    label: str = ""

    @property
    def knows_scar(self) -> bool:
        """Whether it was said what is scar."""
        return self.method.name != NO_SCAR

    @property
    def headline(self) -> Headline | None:
        """The number that stands first, of a surface with values missing a share of what has one; None without scar."""
        return Headline.of_mapped_part(self.measurements) if self.knows_scar else None

    @property
    def remarks(self) -> list[QualityFlag]:
        """The flags, the gravest first."""
        return gravest_first(self.flags)

    @property
    def planes(self) -> tuple[CutPlane, ...]:
        """The planes that cut."""
        return self.chosen.planes

    @property
    def planes_source(self) -> str:
        """"given", "found" or "none"."""
        return self.chosen.planes_source

    def measurements_json(self) -> dict[str, Any]:
        """The content of measurements.json: the keys of a run that need no scan."""
        content: dict[str, Any] = {key: quantity.to_json() for key, quantity in self.measurements.items()}
        return content | {
            "headline": self.headline.number.key if self.headline else None,
            "planes_source": self.planes_source,
            "protocol": None,
            "method": self.method.to_json(),
            "withheld": False,
            "quality_flags": [flag.to_json() for flag in self.flags],
            **self.findings.to_json(),
        }


def analyse_surface(
    file: SurfaceFile, scar: MeshScar | None, *, dense: float | None = None, lge: np.ndarray | None = None,
    planes: Sequence[CutPlane] | PlanesToFind = (), regions: str = USUAL_SCHEME, bands: BandReach = BandReach(), label: str = "",
    inputs: Mapping[str, File] | None = None, simulated: bool | None = None,
) -> SurfaceAnalysis:  # fmt: skip
    """Measure scar that an array of a mesh tells.

    Parameters
    ----------
    scar
        which points are scar; None: nobody says, and only the shape is measured.
    dense
        the value above which scar is dense, of the same array.
    lge
        (N,) grey levels of the points, for display; None: scar's own array where it holds such.
    planes
        mitral plane and vein cut planes; `PlanesToFind()` looks for them on a closed mesh, and uses them if all are sure.
    regions
        the scheme that divides the wall (`surface.region_schemes.SCHEMES`).
    bands
        how far from the veins' ostia the paths of their gaps may run.
    simulated
        whether the mesh shows a phantom and not a patient; None where nobody knows, which is how most meshes come.

    Raises
    ------
    InputError
        `dense` below the threshold, or where scar lies below one; an unknown scheme; what `label_regions` refuses.
    """
    if lge is None and scar is not None and scar.is_grey_level:
        lge = scar.values
    chosen = SurfacePlanes.of(file, planes)
    surface, landmarks = chosen.regions_on(file.surface)
    surface = surface.with_arrays(lge=lge)
    levels = _levels(scar, dense, lge)
    marked = np.zeros(len(surface.points), dtype=bool) if scar is None else scar.scar
    sample = surface_sample(surface, marked, None if scar is None else scar.values, file.is_closed, bool(chosen.planes))
    if scar is not None:
        surface = surface.with_arrays(scar=marked, scar_class=sample.scar_class(None, levels.dense))
    measured = surface_measurements(sample, levels, scar is not None)
    flags = (*file.flags, *remarks_on_planes(chosen.planes), *_flags(surface, sample, measured, chosen, scar))
    provenance = describe_program() | {
        "made_from": MADE_FROM, "inputs": {name: dict(file) for name, file in (inputs or {}).items()}, "simulated": simulated,
        "label": label, "scar": None if scar is None else scar.condition.words, "planes": [plane.to_json() for plane in chosen.planes],
        "regions": regions, "bands": bands.to_json(),
    }  # fmt: skip
    found = findings_of(Landmarks.of(landmarks, regions, bands), surface, _nearby_scar(file, scar)).with_unsure_planes(chosen.unsure)
    return SurfaceAnalysis(surface, measured, _method(scar, levels), chosen, found, flags, provenance, label)


def findings_of(landmarks: Landmarks, surface: Surface, nearby_scar: np.ndarray | None = None) -> Findings:
    """Scar by region, and gaps around the veins; nothing where nobody said what is scar.

    Parameters
    ----------
    landmarks
        of the planes that say where veins and valve are, on the mesh of `surface`.
    nearby_scar
        (N,) bool: scar with the limit moved a little towards more of it; None where no limit decides.
    """
    if surface.scar is None:
        return Findings(landmarks)
    found = landmarks.with_scar(surface)
    if nearby_scar is None or landmarks.bands is None:
        return found
    return found.with_unsteady(surface.with_arrays(scar=nearby_scar))


def _nearby_scar(file: SurfaceFile, scar: MeshScar | None) -> np.ndarray | None:
    """Scar with its limit moved by `NEARBY_SHARE` of itself towards more scar; None where nothing but a label says what is scar."""
    if scar is None or scar.condition.is_label or scar.condition.number == 0:
        return None
    step = NEARBY_SHARE * abs(scar.condition.number) * (-1 if scar.condition.is_lower_limit else 1)
    return scar_of(file, replace(scar.condition, number=scar.condition.number + step)).scar


def _levels(scar: MeshScar | None, dense: float | None, lge: np.ndarray | None) -> Levels:
    if scar is None or scar.condition.is_label:
        if dense is not None:
            raise InputError(f"A threshold of dense scar ({dense:g}) needs scar by a threshold, for example --scar 'scalars>100'.")
        return Levels()
    condition = scar.condition
    if dense is not None and not (condition.is_lower_limit and condition.number <= dense < np.inf):
        raise InputError(f"Dense scar (above {dense:g}) must be a part of scar ({condition.words}). Give a higher number.")
    # Dense scar is what lies above; with >= its limit belongs to it.
    limit = dense if dense is None or condition.sign == ">" else float(np.nextafter(dense, -np.inf))
    return Levels(condition.number if lge is scar.values else None, limit, condition.number, dense)


def _method(scar: MeshScar | None, levels: Levels) -> ScarMethod:
    if scar is None:
        words = "Shape only: no array was named as scar"
        return ScarMethod(NO_SCAR, words, words)
    condition = scar.condition
    title = "Scar by an array of the given surface"
    name = None if condition.is_label else condition.array
    return ScarMethod(ARRAY, title, f"{title}: {condition.words}", levels.parameter, name, levels.scar)


def _flags(
    surface: Surface, sample: Sample, measured: Mapping[str, Quantity], chosen: SurfacePlanes, scar: MeshScar | None
) -> tuple[QualityFlag, ...]:
    volume, missing = measured["la_volume_ml"].value, measured["unmeasured_area_pct"].value or 0.0
    beyond = sample.vertex_area_mm2[~surface.is_wall].sum() / sample.vertex_area_mm2.sum()
    flags = (*chosen.flags(float(beyond)), *remarks_on_openings(surface, chosen.planes))
    flags += check_mitral_leak(reach_beyond_mitral_mm(surface, chosen.planes))
    if volume is not None:
        flags += check_volume(volume)
    if missing > 0:
        of = "LA wall inside the planes" if chosen.planes else "surface"
        message = f"{missing:.1f} % of the {of} has no value in the array that tells scar: nobody knows whether there is scar. "
        message += _what_missing_values_mean(measured, of)
        flags += (QualityFlag("mesh_values_missing", message, "" if missing > FEW_MISSING_PCT else NOTE),)
    if scar is not None and not scar.scar.any():
        flags += (QualityFlag("no_scar", f"No scar was found: no point passes {scar.condition.words}."),)
    return flags


def _what_missing_values_mean(measured: Mapping[str, Quantity], of: str) -> str:
    """Which shares leave out what has no value, and which one takes it for free of scar."""
    left_out, whole = measured[ON_MEASURED].value, measured[ON_SURFACE].value
    if left_out is None:
        said = f"Shares of the {of} leave that part out; shares of the whole surface take it for free of scar"
        return f"{said}, and are too low if there is any."
    return (
        f"Of the part that has a value {left_out:.1f} % is scar ({ON_MEASURED}); the share of the whole surface, {whole:.1f} % "
        f"({ON_SURFACE}), takes the rest for free of scar, and is too low if there is any."
    )
