"""Scar by region, and gaps around the veins, in the scene: two tables, a path around each vein or pair, a labelled point in each gap.

They are shown for an analysis whose findings are known; nothing here looks for any. When the map has changed since, they stay, grey and
called older, until somebody looks for gaps anew or the earlier map comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis import Analysis
from ..analysis.surface_findings import findings_digest
from ..surface.findings import Findings
from ..surface.gaps import Encirclement, Gap
from .colours import LEFT_OUT, PATH_IN_GAP, path_table
from .model import colour_by
from .mrml import ROLE, find_or_add, remove_node, results_of
from .tables import fill_table
from .tubes import tubes
from .volumes import LPS_TO_RAS

GAPS_ROLE, REGIONS_ROLE, POINTS_ROLE, PATH_ROLE = "gaps", "regions", "gap_points", "path_"
"""Roles of the nodes; that of a path ends with what it goes around."""
MADE_OF = "LAScarSeg.findings_of"
"""Attribute: the digest of what a node was found on (`analysis.surface_findings.findings_digest`)."""
OLDER = " (older than the map)"
"""End of the name of a node that was found on another map than the one that is shown."""
TUBE_MM = 0.7
"""Radius of a path's tube: seen beside 2–3 mm of wall, and no broader than the ablation lines around it (4–8 mm, SCIENCE section 7)."""
NO_LENGTH_MM = 1e-6
"""Points of a path that lie no farther apart are one: a tube has no direction there."""
SLICE_PIXELS = 3
POINT_CLASS = "vtkMRMLMarkupsFiducialNode"


@dataclass(frozen=True)
class NumberedGap:
    """A gap with its number in tables, scene and report, counted through from 1; `depends`: a slightly lower threshold leaves
    less than 3 mm in a row of its own course healthy."""

    number: int
    around: str
    gap: Gap
    depends: bool

    @property
    def label(self) -> str:
        """"LSPV 1: 6.2 mm"."""
        return f"{self.around} {self.number}: {self.gap.length_mm:.1f} mm"


def numbered_gaps(findings: Findings) -> tuple[NumberedGap, ...]:
    """Every gap of a result, in the order of the numbers."""
    found = [(around, n, gap) for around in findings.encirclements for n, gap in enumerate(around.gaps)]
    return tuple(
        NumberedGap(number, around.around, gap, n in findings.unsteady.get(around.around, ()))
        for number, (around, n, gap) in enumerate(found, 1)
    )


def has_findings(analysis: Analysis) -> bool:
    """Whether there is anything to find: planes say where veins and valve are, and the cavity may be used."""
    return bool(analysis.sources.landmarks) and not analysis.withheld


def findings_nodes(scene: Any, source: Any) -> list[Any]:
    """What a scene holds of the findings of the result of the volume node `source`."""
    return [node for node in results_of(scene, source) if _is_ours(node.GetAttribute(ROLE) or "")]


def _is_ours(role: str) -> bool:
    return role in (GAPS_ROLE, REGIONS_ROLE, POINTS_ROLE) or role.startswith(PATH_ROLE)


def is_older(node: Any, analysis: Analysis) -> bool:
    """Whether a node of findings was found on another map than that of `analysis`."""
    return node.GetAttribute(MADE_OF) != findings_digest(analysis)


def add_findings(scene: Any, analysis: Analysis, source: Any) -> tuple[Any, ...]:
    """The nodes of the findings that `analysis` knows, made or brought up to date; those that it no longer has are removed.

    Without known findings what there is stays, and says whether it is older than the map (`show_age`).
    """
    findings = analysis.known_findings
    if findings is None:
        return show_age(scene, analysis, source)
    nodes = [_gaps_table(scene, findings, source), _regions_table(scene, findings, source), _gap_points(scene, findings, source)]
    nodes = [node for node in (*nodes, *(_path(scene, around, source) for around in findings.encirclements)) if node is not None]
    for node in findings_nodes(scene, source):
        if node not in nodes:
            remove_node(scene, node)
    digest = findings_digest(analysis)
    for node in nodes:
        node.SetAttribute(MADE_OF, digest)
    return show_age(scene, analysis, source)


def show_age(scene: Any, analysis: Analysis, source: Any) -> tuple[Any, ...]:
    """Say of each node of findings whether it is older than the map of `analysis`, by its name and its colour; returns the nodes.

    Where there is nothing to find any more they are removed.
    """
    nodes = findings_nodes(scene, source)
    if not nodes:
        return ()
    if not has_findings(analysis):
        for node in nodes:
            remove_node(scene, node)
        return ()
    digest = findings_digest(analysis)
    for node in nodes:
        _set_age(node, node.GetAttribute(MADE_OF) != digest)
    return tuple(nodes)


def _set_age(node: Any, older: bool) -> None:
    if node.GetName().endswith(OLDER) == older:
        return
    node.SetName(node.GetName() + OLDER if older else node.GetName().removesuffix(OLDER))
    if not node.IsA("vtkMRMLDisplayableNode") or node.GetDisplayNode() is None:
        return
    display = node.GetDisplayNode()
    if node.IsA(POINT_CLASS):
        display.SetSelectedColor(*(LEFT_OUT if older else PATH_IN_GAP))
    else:
        display.SetColor(*LEFT_OUT)
        display.SetScalarVisibility(not older)


def _gaps_table(scene: Any, findings: Findings, source: Any) -> Any | None:
    """The table node of what is encircled, a row each; None where nothing is."""
    if not findings.encirclements:
        return None
    node, _ = find_or_add(scene, "vtkMRMLTableNode", GAPS_ROLE, f"{source.GetName()} veins and gaps", source)
    gaps = numbered_gaps(findings)
    rows = [_around_row(findings, around, [gap for gap in gaps if gap.around == around.around]) for around in findings.encirclements]
    fill_table(node, {title: [row[title] for row in rows] for title in rows[0]})
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetDescription(
        "The closed path with the least healthy tissue around each vein and pair (Nuñez-Garcia et al. 2018); a gap is 3 mm of it or more. "
        "Low and High: perturbation range."
    )
    return node


def _around_row(findings: Findings, around: Encirclement, gaps: list[NumberedGap]) -> dict[str, str]:
    low, high = findings.gap_ranges.get(around.around, (None, None))
    known = not around.problem
    return {
        "Around": around.around,
        "Encircled": ("yes" if around.encircled else "no") if known else "",
        "Gaps": str(len(around.gaps)) if known else "",
        "Gap (mm)": _text(around.gap_mm) if known else "",
        "Low": _text(low),
        "High": _text(high),
        "Relative gap (%)": _text(100 * around.rgm, 0) if known else "",
        "Path (mm)": _text(around.path_mm, 0) if known else "",
        "Not measured (mm)": _text(around.unmeasured_mm, 0) if known else "",
        "Where": "; ".join(f"{gap.number}: {gap.gap.length_mm:.1f} mm, {gap.gap.place}" for gap in gaps),
        "Remark": "; ".join(filter(None, (around.problem, "its planes are not sure" if findings.is_unsure(around.around) else ""))),
    }


def _regions_table(scene: Any, findings: Findings, source: Any) -> Any | None:
    """The table node of scar by region; None without regions."""
    if not findings.regions:
        return None
    node, _ = find_or_add(scene, "vtkMRMLTableNode", REGIONS_ROLE, f"{source.GetName()} scar by region", source)
    ends = [findings.region_ranges.get(region.region, (None, None)) for region in findings.regions]
    columns = {
        "Region": [region.region for region in findings.regions],
        "Area (cm²)": [_text(region.area_cm2) for region in findings.regions],
        "Scar area (cm²)": [_text(region.scar_area_cm2) for region in findings.regions],
        "Scar (%)": [_text(region.scar_pct) for region in findings.regions],
        "Low": [_text(low) for low, _ in ends],
        "High": [_text(high) for _, high in ends],
    }
    fill_table(node, columns)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def _text(value: float | None, decimals: int = 1) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"


def _gap_points(scene: Any, findings: Findings, source: Any) -> Any | None:
    """The markups node with a labelled point in the middle of each gap; None without gaps."""
    gaps = numbered_gaps(findings)
    if not gaps:
        return None
    node, new = find_or_add(scene, POINT_CLASS, POINTS_ROLE, f"{source.GetName()} gaps", source)
    if new:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSelectedColor(*PATH_IN_GAP)
    modifying = node.StartModify()
    node.SetLocked(False)
    node.RemoveAllControlPoints()
    for gap in gaps:
        at = LPS_TO_RAS[:3, :3] @ np.array(gap.gap.point_lps)
        number = node.AddControlPoint(*at.tolist(), gap.label)
        node.SetNthControlPointDescription(number, f"{gap.gap.place}, depends on the threshold" if gap.depends else gap.gap.place)
    # Where a gap lies was measured; nobody shall drag it.
    node.SetLocked(True)
    node.EndModify(modifying)
    return node


def _path(scene: Any, around: Encirclement, source: Any) -> Any | None:
    """The model node of a path, its array `Gap` 0 in scar and 1 in healthy tissue; None where no path goes around."""
    if not len(around.points):
        return None
    title = f"{source.GetName()} path around {around.around}"
    node, new = find_or_add(scene, "vtkMRMLModelNode", f"{PATH_ROLE}{around.around}", title, source)
    node.SetAndObservePolyData(path_tube(around))
    node.SetDescription(f"The closed path around {around.around} with the least healthy tissue. Gap: 0 in scar, 1 in healthy tissue.")
    if new:
        node.CreateDefaultDisplayNodes()
        colour_by(node.GetDisplayNode(), "Gap", path_table(scene), 0, 1)
        node.GetDisplayNode().SetSliceIntersectionThickness(SLICE_PIXELS)
    return node


def path_tube(around: Encirclement) -> Any:
    """A path as a tube in RAS, with the array `Gap`: stretches in scar and out of it are tubes of their own, so that no colour is mixed."""
    stretches = list(_stretches(around))
    in_gap = [np.full(len(line), 0.0 if is_scar else 1.0) for line, is_scar in stretches]
    return tubes([line for line, _ in stretches], TUBE_MM, {"Gap": np.concatenate([np.zeros(0), *in_gap])})


def _stretches(around: Encirclement) -> Iterator[tuple[np.ndarray, bool]]:
    """Each stretch of a closed path, (Q, 3) mm LPS, and whether it is scar."""
    starts = np.flatnonzero(around.scar != np.roll(around.scar, 1))
    first = int(starts[0]) if len(starts) else 0
    points, scar = np.roll(around.points, -first, axis=0), np.roll(around.scar, -first)
    closed = np.concatenate([points, points[:1]])
    bounds = [0, *(np.flatnonzero(scar[1:] != scar[:-1]) + 1), len(scar)]
    for start, stop in zip(bounds[:-1], bounds[1:]):
        line = closed[start : stop + 1]
        apart = np.linalg.norm(np.diff(line, axis=0), axis=1) > NO_LENGTH_MM
        if apart.any():
            yield np.concatenate([line[:1], line[1:][apart]]), bool(scar[start])
