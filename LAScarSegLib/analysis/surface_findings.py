"""What veins, regions and gaps say of an analysis, computed when somebody asks: nothing of the path waits for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..measure.sample import Levels, Sample
from ..surface.findings import Findings, Landmarks, bands_of
from ..surface.gaps import Bands, Encirclement, Gap
from ..surface.layers import nearest_vertices
from ..surface.surface import CLASS_NONE, CLASS_NOT_MEASURED, Surface
from ..surface.wall_regions import REGIONS_VERSION, RegionScar
from .measured_cavity import MeasuredCavity

if TYPE_CHECKING:
    from .result import Analysis

NEARBY_IIR = 0.05
"""A gap depends on the threshold where less than the least gap's length of its own course stays healthy in a row with one that is lower by
this share of the blood pool's mean: half of the steps between published ones (0.97, 1.16, 1.20, 1.32)."""


def landmarks_of(surface: Surface) -> Landmarks:
    """All but the bands, which a person changes."""
    return Landmarks.of(surface, reach=None)


def in_scheme(landmarks: Landmarks, scheme: str) -> Landmarks:
    return landmarks.in_scheme(scheme)


def with_bands(landmarks: Landmarks, bands: Bands | None) -> Landmarks:
    return landmarks.with_bands(bands)


def bands_on_surface(analysis: Analysis) -> Bands | None:
    """The bands around the veins in which the analysis looks for gaps; None where it is not known where the veins are."""
    return analysis.steps.nested(bands_of, bare_surface(analysis), analysis.settings.bands)


def bare_surface(analysis: Analysis) -> Surface:
    """The surface with the regions that say where veins and valve are."""
    return analysis.surface if analysis.landmark_surface is None else analysis.landmark_surface


def find_on_surface(analysis: Analysis, ranges: bool = True) -> Findings:
    """Regions and gaps of an analysis, with their ranges where it has ranges; nothing for a cavity that is not to be used.

    Without `ranges` these are left out, which take most of the time: a first look.
    """
    steps = analysis.steps
    landmarks = steps(in_scheme, steps(landmarks_of, bare_surface(analysis)), analysis.settings.regions)
    landmarks = steps(with_bands, landmarks, bands_on_surface(analysis))
    if analysis.withheld:
        return Findings(landmarks)
    found = landmarks.with_scar(analysis.surface, steps).with_unsure_planes(analysis.sources.unsure)
    if landmarks.bands is None or not analysis.levels:
        return found
    others = [landmarks.with_scar(_carried(analysis, *each), steps) for each in (_perturbed(analysis) if ranges else ())]
    lower = _lower_scar(analysis)
    found = found.with_ranges(others)
    return found if lower is None else found.with_unsteady(_with_scar(analysis.surface, lower, analysis.samples[0].is_measured))


def findings_digest(analysis: Analysis, ranges: bool = True) -> str:
    """Of all that regions and gaps follow from, with their ranges, if there are any, and what depends on the threshold: analyses with the
    same one have the same findings; without `ranges`, the same but for these. In no time."""
    surface, digest = analysis.surface, hashlib.sha256()
    unmeasured = None if surface.scar_class is None else surface.scar_class == CLASS_NOT_MEASURED
    arrays = [surface.points, surface.triangles, surface.scar, unmeasured, _lower_scar(analysis)]
    for cavity, levels, sample in _perturbed(analysis) if ranges else ():
        arrays += [cavity.surface.points, sample.scar_vertices(levels.scar), sample.is_measured]
    for array in arrays:
        content = np.zeros(0, dtype=bool) if array is None else np.ascontiguousarray(array)
        digest.update(f"{content.shape}".encode() + content.tobytes())
    planes = [plane.to_json() for plane in analysis.sources.landmarks]
    level = analysis.levels[0].scar if analysis.levels else None
    unsure, settings = dict(analysis.sources.unsure), [analysis.settings.regions, REGIONS_VERSION, analysis.settings.bands.to_json()]
    others = [planes, unsure, analysis.withheld, None if level is None else float(level), *settings]
    digest.update(json.dumps(others).encode("utf-8"))
    return digest.hexdigest()


def pack_findings(findings: Findings) -> dict[str, Any]:
    """Findings for another process, JSON-ready and to the last digit; of their landmarks only what is said of them."""
    return {
        "problems": list(findings.landmarks.problems),
        "scheme": findings.landmarks.scheme,
        "regions": [asdict(region) for region in findings.regions],
        "encirclements": [_packed(around) for around in findings.encirclements],
        "region_ranges": dict(findings.region_ranges),
        "gap_ranges": dict(findings.gap_ranges),
        "unsteady": dict(findings.unsteady),
        "unsure": dict(findings.unsure),
    }


def _packed(value: Encirclement | Gap) -> dict[str, Any]:
    content = {f.name: getattr(value, f.name) for f in fields(value)}
    content |= {name: array.tolist() for name, array in content.items() if isinstance(array, np.ndarray)}
    return content | ({"gaps": [_packed(gap) for gap in value.gaps]} if isinstance(value, Encirclement) else {})


def unpack_findings(content: Mapping[str, Any], surface: Surface) -> Findings:
    """From what `pack_findings` gave for an analysis of this surface."""
    return Findings(
        Landmarks(surface, None, None, None, tuple(content["problems"]), content["scheme"]),
        tuple(RegionScar(**region) for region in content["regions"]),
        tuple(_unpacked_path(around) for around in content["encirclements"]),
        *({name: tuple(ends) for name, ends in content[key].items()} for key in ("region_ranges", "gap_ranges", "unsteady")),
        content["unsure"],
    )


def _unpacked_path(content: Mapping[str, Any]) -> Encirclement:
    gaps = tuple(Gap(**gap | {"point_lps": tuple(gap["point_lps"]), "points": _points(gap)}) for gap in content["gaps"])
    return Encirclement(**content | {"points": _points(content), "scar": np.array(content["scar"], dtype=bool), "gaps": gaps})


def _points(content: Mapping[str, Any]) -> np.ndarray:
    return np.array(content["points"], dtype=float).reshape(-1, 3)


def _carried(analysis: Analysis, cavity: MeasuredCavity, levels: Levels, sample: Sample) -> Surface:
    """The scar of a perturbed cavity, on the surface as it is: each vertex has what the perturbed surface's nearest one has."""
    scar, measured = sample.scar_vertices(levels.scar), sample.is_measured
    if cavity.surface is not analysis.cavities[0].surface:
        nearest = nearest_vertices(cavity.surface, analysis.surface.points)
        scar, measured = scar[nearest], measured[nearest]
    return _with_scar(analysis.surface, scar, measured)


def _perturbed(analysis: Analysis) -> Iterator[tuple[MeasuredCavity, Levels, Sample]]:
    """The perturbed cavities that the ranges come from; none where there are no ranges."""
    return zip(analysis.cavities[1:], analysis.levels[1:], analysis.samples[1:])


def _lower_scar(analysis: Analysis) -> np.ndarray | None:
    """(N,) bool: the scar with a lower threshold; None where no threshold decides."""
    if not analysis.levels or analysis.levels[0].scar is None or analysis.samples[0].given_scar is not None:
        return None
    sample = analysis.samples[0]
    return sample.scar_vertices(analysis.levels[0].scar - NEARBY_IIR * sample.blood.mean)


def _with_scar(surface: Surface, scar: np.ndarray, measured: np.ndarray) -> Surface:
    return surface.with_arrays(scar=scar, scar_class=np.where(measured, CLASS_NONE, CLASS_NOT_MEASURED).astype(np.uint8))
