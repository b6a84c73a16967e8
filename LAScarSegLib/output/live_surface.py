"""The live surface of the report: what a browser needs to turn the map around and to try a threshold, without a server or a network.

Plotly's script comes from the installed Python package `plotly` and is written into the report, packed; nothing of it is in this
repository. `Resources/Report/live_surface.js` unpacks it and draws what `live_surface` describes.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis import Analysis
from ..scene.colours import LEFT_OUT, PURPLES, RED_YELLOW_BLUE, REGIONS, RGB
from ..surface.surface import CLASS_BORDER, CLASS_DENSE, CLASS_NOT_MEASURED, Surface
from .figures import iir_map, style
from .figures.surface_views import VIEWS
from .findings import FindingRows, GapRow, Point

UNIT_MM = 0.1
"""Positions are rounded to this: a tenth of a mesh edge, and 16 bits hold ±3.2 m of it."""
MOST_VERTICES = 60_000
"""More are thinned out: 16 bits number the vertices, and the report stays below 8 MB. An atrium has some 20,000."""
LIFT_MM = 0.4
"""How far the scar's outline lies off the surface: less is hidden by the triangles between the vertices."""
LINE_LIFT_MM, MARK_LIFT_MM = 1.0, 2.5
"""The same of the broader lines along gaps and of the marks at their middle."""
PACKING = 3
"""zlib's level: a tenth larger than the best, in a quarter of the time (0.07 s for plotly's 4.9 MB)."""
FIRST_VIEWS = ("Posterior (PA)", "Anterior (AP)", "Left lateral", "Right lateral", "Superior", "Inferior")
"""The buttons in their order; the first is where the camera starts, since ablation lines lie on the posterior wall."""
SLIDER_STEP = 0.01
"""Published ratios have two decimals."""
WALL, LEFT_OUT_KIND, NOT_MEASURED_KIND = 0, 1, 2
"""What a vertex is, in `kind`."""
OTHER_REGIONS = (
    "#a6cee3", "#1f78b4", "#b2df8a", "#33a02c", "#fb9a99", "#e31a1c", "#fdbf6f", "#ff7f00", "#cab2d6", "#6a3d9a", "#ffff99", "#b15928",
)  # fmt: skip
"""Colours of labels that `scene.colours` does not name: ColorBrewer's Paired (colorbrewer2.org)."""
MISSING = (
    "The live surface is left out: the Python package plotly, whose script it runs on, is not installed. Install it (pip install plotly; "
    "in Slicer’s Python console: slicer.util.pip_install('plotly')) and write the report again."
)


@dataclass(frozen=True, eq=False)
class SurfaceLabels:
    """Labels to colour the surface by: `values` (N,) uint8, and the `names` and `colours` ("#rrggbb") of those that occur."""

    title: str
    values: np.ndarray
    names: dict[int, str]
    colours: dict[int, str] = field(default_factory=dict)

    @classmethod
    def regions(cls, values: np.ndarray) -> SurfaceLabels:
        """Of the array `Region` (`surface.REGION_…`)."""
        present = [int(value) for value in np.unique(values)]
        known = {value: REGIONS[value] for value in present if value in REGIONS}
        others = {value: f"region {value}" for value in present if value not in known}
        names = {value: known[value][0] if value in known else others[value] for value in present}
        return cls("Regions", values, names, {value: _hex(rgb) for value, (_, rgb) in known.items()} | _spare_colours(others))

    @classmethod
    def walls(cls, title: str, values: np.ndarray, names: Sequence[str]) -> SurfaceLabels:
        """Of regions by number: 0 what is no wall, else `names[value - 1]`."""
        present = {int(value): names[int(value) - 1] for value in np.unique(values) if value}
        left_out = {0: "left out"} if (values == 0).any() else {}
        return cls(title, values, left_out | present, {0: _hex(LEFT_OUT)} | _spare_colours(present))


def _spare_colours(values: Iterable[int]) -> dict[int, str]:
    return {value: OTHER_REGIONS[n % len(OTHER_REGIONS)] for n, value in enumerate(values)}


def plotly_script() -> bytes | None:
    """Plotly's script as the installed package brings it; None where it is not installed. The package itself is not imported."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path.read_bytes()
    return None


@functools.cache
def packed_script() -> str | None:
    """`plotly_script` in zlib's format (RFC 1950, which browsers unpack as "deflate"), base64; packed once a process."""
    script = plotly_script()
    return None if script is None else base64.b64encode(zlib.compress(script, PACKING)).decode("ascii")


def live_surface(analysis: Analysis, findings: FindingRows = FindingRows(), labels: Iterable[SurfaceLabels] | None = None) -> str:
    """What the report's script draws, as JSON that is safe inside a `<script>` element.

    Parameters
    ----------
    findings
        whose gaps are marked.
    labels
        ways to colour the surface by labels; by default the array `Region` where it has more than one value.

    Returns
    -------
    str
        positions in LPS mm about their centre, whole multiples of `UNIT_MM`; arrays as `{"type", "data"}` with base64, little endian.
    """
    surface = analysis.surface
    if labels is None:
        has_regions = surface.region is not None and len(np.unique(surface.region)) > 1
        labels = (SurfaceLabels.regions(surface.region),) if has_regions else ()
    surface, labels = _thinned(surface, tuple(labels))
    low, high = surface.points.min(axis=0), surface.points.max(axis=0)
    centre = (low + high) / 2
    content = {
        "unit_mm": UNIT_MM,
        "half_mm": float(np.linalg.norm(surface.points - centre, axis=1).max()),
        "points": _positions(surface.points, centre),
        "triangles": _array(surface.triangles, np.uint16),
        "share": _array(_shares(analysis, surface), np.float32),
        "kind": _array(_kinds(surface), np.uint8),
        "kinds": {LEFT_OUT_KIND: ["left out (beyond the planes)", style.EXCLUDED], NOT_MEASURED_KIND: ["not measured", style.NOT_MEASURED]},
        "outline": _positions(outline(surface), centre),
        "gaps": [_gap(gap, surface, centre) for gap in findings.gaps if gap.point_lps is not None],
        "labels": [_labels(one) for one in labels],
        "unsure": _unsure(analysis, surface),
        "unsure_colours": [f"#{code}" for code in PURPLES],
        "views": [_view(name) for name in FIRST_VIEWS],
        "ink": style.INK,
    }
    return _for_script(content | _scar(analysis, surface))


def slider_threshold(analysis: Analysis) -> float | None:
    """Where the slider starts, as a ratio to blood: the result's own threshold; None where no rule compares intensities with one."""
    level = analysis.method.threshold_intensity
    if analysis.withheld or not analysis.method.is_rule or level is None or analysis.surface.iir is None:
        return None
    return level / analysis.blood_pool.mean


def outline(surface: Surface) -> np.ndarray:
    """(S, 2, 3) mm: the border of the scar as line segments, one for each triangle of the LA wall it crosses, `LIFT_MM` above the surface.

    A border lies halfway between two vertices, as in the figures.
    """
    lifted, corner = surface.points + LIFT_MM * surface.normals, surface.scar[surface.triangles]
    crossed = corner.any(axis=1) & ~corner.all(axis=1) & surface.is_wall[surface.triangles].all(axis=1)
    triangles, corner = surface.triangles[crossed], corner[crossed]
    # The corner that differs from the two others: the border crosses the two edges at it.
    odd = np.where(corner[:, 0] == corner[:, 1], 2, np.where(corner[:, 0] == corner[:, 2], 1, 0))
    rows = np.arange(len(triangles))
    apex, one, other = (lifted[triangles[rows, (odd + step) % 3]] for step in (0, 1, 2))
    return np.stack([(apex + one) / 2, (apex + other) / 2], axis=1)


def _scar(analysis: Analysis, surface: Surface) -> dict[str, Any]:
    """Everything that is about scar, and so left out where scar is withheld; the slider where a rule has a threshold."""
    if analysis.withheld:
        return {"withheld": True}
    has_dense = analysis.measurements["threshold_dense"].value is not None
    low, high = iir_map.IIR_RANGE
    threshold = slider_threshold(analysis)
    classes = {
        0: ["no scar found", style.HEALTHY],
        CLASS_BORDER: ["border scar" if has_dense else "scar", style.BORDER_SCAR if has_dense else style.SCAR],
    }
    content = {
        "withheld": False,
        "of": analysis.headline.of,
        "scar": _array(_classes(surface), np.uint8),
        "classes": classes | ({CLASS_DENSE: ["dense scar", style.SCAR]} if has_dense else {}),
        "threshold": threshold,
        "slider": [min(low, threshold or low), max(high, threshold or high), SLIDER_STEP],
        "iir_range": [low, high],
        "iir_colours": [f"#{code}" for code in RED_YELLOW_BLUE],
    }
    if surface.iir is not None:
        content["iir"] = _array(np.nan_to_num(surface.iir, nan=0.0, neginf=0.0), np.float32)
    if surface.scar_probability is not None:
        content["probability"] = _array(np.nan_to_num(surface.scar_probability, nan=0.0, neginf=0.0), np.float32)
    return content


def _unsure(analysis: Analysis, surface: Surface) -> list[dict[str, Any]]:
    """How unsure the networks are that found something; of a cavity also where scar is withheld: that is what to look at."""
    scar = None if analysis.withheld else surface.scar_entropy
    of_cavity = "network uncertainty (mean entropy of the cavity’s probability across its edge, bits)"
    found = [
        ("Scar uncertainty", "network uncertainty (entropy of the scar’s probability, bits)", scar),
        ("Cavity uncertainty", of_cavity, surface.cavity_entropy),
    ]
    return [
        {"title": title, "words": words, "values": _array(np.nan_to_num(values, nan=0.0), np.float32)}
        for title, words, values in found
        if values is not None
    ]


def _shares(analysis: Analysis, surface: Surface) -> np.ndarray:
    """(N,) what each vertex counts for in the headline's share (its area, or its triangles); 0 for what that is no share of."""
    counted = analysis.samples[0].vertex_share
    shares = counted if len(counted) == len(surface.points) else surface.vertex_area_mm2
    return np.where(_kinds(surface) == WALL, shares, 0.0) if analysis.headline.of == "LA wall" else shares


def _kinds(surface: Surface) -> np.ndarray:
    """(N,) whether a vertex is measured wall, lies beyond a plane, or was not measured."""
    kinds = np.where(surface.is_wall, WALL, LEFT_OUT_KIND)
    if surface.scar_class is not None:
        kinds[surface.is_wall & (surface.scar_class == CLASS_NOT_MEASURED)] = NOT_MEASURED_KIND
    return kinds


def _classes(surface: Surface) -> np.ndarray:
    """(N,) 0 no scar, 1 scar (border scar with two thresholds), 2 dense scar; 0 where nothing was measured."""
    classes = surface.scar.astype(np.uint8)
    if surface.scar_class is not None:
        classes[surface.scar_class == CLASS_DENSE] = CLASS_DENSE
    return classes


def _thinned(surface: Surface, labels: tuple[SurfaceLabels, ...]) -> tuple[Surface, tuple[SurfaceLabels, ...]]:
    """At most `MOST_VERTICES`, by quadric decimation; every vertex that is left takes what was measured at the nearest one."""
    if len(surface.points) <= MOST_VERTICES:
        return surface, labels
    from scipy.spatial import cKDTree
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    from ..surface.polydata import mesh_polydata

    thin = vtkQuadricDecimation()
    thin.SetInputData(mesh_polydata(surface.points, surface.triangles))
    thin.SetTargetReduction(1.0 - MOST_VERTICES / len(surface.points))
    thin.Update()
    mesh = thin.GetOutput()
    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    nearest = cKDTree(surface.points).query(points)[1]
    names = ("normals", "lge", "iir", "scar", "scar_class", "scar_probability", "scar_entropy", "cavity_entropy", "region")
    arrays = {name: getattr(surface, name)[nearest] for name in names if getattr(surface, name) is not None}
    kept = tuple(SurfaceLabels(one.title, one.values[nearest], one.names, one.colours) for one in labels)
    return Surface(points, triangles, **arrays), kept


def _gap(gap: GapRow, surface: Surface, centre: np.ndarray) -> dict[str, Any]:
    """A gap's mark and line, both drawn off the surface so that they are seen."""
    mark = _positions(_lifted(surface, (gap.point_lps,), MARK_LIFT_MM), centre)
    line = _positions(_lifted(surface, gap.line_lps, LINE_LIFT_MM), centre) if len(gap.line_lps) > 1 else None
    return {"number": gap.number, "text": gap.text, "mark": mark, "line": line}


def _lifted(surface: Surface, points: Sequence[Point], by_mm: float) -> np.ndarray:
    """(P, 3) mm: `points` moved out along the normal of the vertex nearest to each."""
    from scipy.spatial import cKDTree

    return np.array(points) + by_mm * surface.normals[cKDTree(surface.points).query(points)[1]]


def _labels(labels: SurfaceLabels) -> dict[str, Any]:
    entries = {value: [labels.names[value], labels.colours.get(value, _hex(LEFT_OUT))] for value in labels.names}
    return {"title": labels.title, "values": _array(labels.values, np.uint8), "entries": entries}


def _view(name: str) -> dict[str, Any]:
    view = next(view for view in VIEWS if view.name == name)
    return {"name": name, "direction": list(view.direction), "up": list(view.up)}


def _positions(points: np.ndarray, centre: np.ndarray) -> dict[str, str]:
    return _array(np.rint((points - centre) / UNIT_MM), np.int16)


def _array(values: np.ndarray, kind: type[np.generic]) -> dict[str, str]:
    """Little endian, as every browser's typed arrays are in practice."""
    data = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<"))
    return {"type": np.dtype(kind).name, "data": base64.b64encode(data.tobytes()).decode("ascii")}


def _for_script(content: dict[str, Any]) -> str:
    """JSON without a character that could end the element it stands in."""
    text = json.dumps(content, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hex(rgb: RGB) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in rgb)
