"""The report: one self-contained HTML page that a cardiologist can read, print and send; nothing is fetched from anywhere."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..analysis import Analysis
from ..analysis.method import describe_cavity
from ..measure.numbers import DASH, NUMBERS, UTAH_LIMITS_PCT, Number, Quantity, find_number
from ..intensity.protocols import PROTOCOLS
from ..measure.published import published_scars
from ..support.doubt import Doubt
from ..support.flags import STOP, QualityFlag
from ..support.resources import require_package, resource_path
from .figures import FIGURES
from .figures.iir_map import how
from .figures.scar_map import how_decided
from .findings import FindingRows, rows_of
from .live_surface import MISSING, SurfaceLabels, live_surface, packed_script, slider_threshold

SAID_ELSEWHERE = "no_planes"
"""The flag whose words stand in a box of their own, below the method."""

GRAVE = (STOP, "look_at_it", "do_not_use")
"""Remarks of these severities (flags, and `Doubt.severity`) stand above the map, the others below the first page's tables."""


def require_jinja2() -> None:
    """`ProcessingError` when it isn't installed (Slicer doesn't bring it)."""
    require_package("jinja2", "The report needs")


def render_report(
    analysis: Analysis,
    figures: Path,
    notes: Sequence[QualityFlag] = (),
    findings: FindingRows | None = None,
    labels: Sequence[SurfaceLabels] | None = None,
) -> str:
    """The report's HTML, with the figures that are in the folder `figures`; `notes` join the quality flags.

    `findings` are regions and gaps; by default the analysis's own. `labels` are what the live surface can be coloured by, besides scar and
    intensity; by default the array `Region`, and the regions of the wall where there are any.
    """
    require_jinja2()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_path("Report")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    if labels is None:
        labels = _labels(analysis)
    pictures, remarks = _pictures(analysis, figures), _remarks(analysis, notes)
    if findings is None:
        findings = rows_of(analysis)
    return environment.get_template("report.html.j2").render(
        title=_title(analysis),
        case=analysis.settings.label,
        headline=_headline(analysis),
        cavity=describe_cavity(analysis.sources.cavity),
        method=_method(analysis),
        withheld=analysis.doubt.message if analysis.withheld else "",
        grave=[remark for remark in remarks if remark.severity in GRAVE],
        remarks=[remark for remark in remarks if remark.severity not in GRAVE],
        planes=analysis.planes,
        planes_found=analysis.sources.planes_source == "found",
        simulated=bool(analysis.provenance.get("simulated")),
        stage=_stage(analysis),
        findings=findings,
        live=_live(analysis, findings, labels),
        live_missing=MISSING,
        measurements=_rows(analysis),
        others=_others(analysis),
        lead_figures=pictures[:1],
        figures=pictures[1:],
        presets=_presets(analysis),
        provenance=flatten(analysis.provenance),
        version=__version__,
    )


def flatten(content: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested dictionaries as rows of (path, value): [("inputs › image › path", "scan.nrrd"), …]; a list's item is one row."""
    if isinstance(content, dict) and content:
        return [row for key, value in content.items() for row in flatten(value, f"{prefix} › {key}" if prefix else str(key))]
    if isinstance(content, (list, tuple)) and any(isinstance(item, dict) for item in content):
        return [(f"{prefix} › {number}", _value(item)) for number, item in enumerate(content, 1)]
    return [(prefix, _value(content))]


def _value(content: Any) -> str:
    if content is None or (isinstance(content, (dict, list, tuple)) and not content):
        return DASH
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, dict):
        return "; ".join(f"{key} {_value(value)}" for key, value in content.items())
    if isinstance(content, (list, tuple)):
        return ", ".join(_value(item) for item in content)
    return f"{content:.6g}" if isinstance(content, float) else str(content)


def _remarks(analysis: Analysis, notes: Sequence[QualityFlag]) -> list[Doubt | QualityFlag]:
    """What to know before trusting it; what stands in a box of its own isn't said twice."""
    said = [remark for remark in analysis.remarks if not (isinstance(remark, Doubt) and analysis.withheld)]
    return [remark for remark in (*said, *notes) if getattr(remark, "code", "") != SAID_ELSEWHERE]


def _title(analysis: Analysis) -> str:
    """The name of the scan, as far as the provenance knows it."""
    inputs = analysis.provenance.get("inputs") or {}
    image = inputs.get("image") if isinstance(inputs, dict) else None
    path = image.get("path") if isinstance(image, dict) else image
    return Path(str(path)).name if path else "LGE-MRI"


def _headline(analysis: Analysis) -> dict[str, str]:
    found = analysis.headline
    words = {"of": "left-atrial wall" if found.of == "LA wall" else "left-atrial surface", "ends": found.ends, "others": analysis.others_line}
    dense = _dense(analysis)
    return {"value": found.number.text(found.quantity.value), "range": found.range, "area": found.area_text, "dense": dense} | words


def _dense(analysis: Analysis) -> str:
    """"7.3 % is dense scar (6.8 cm²)", of the same surface; empty without a second threshold."""
    end = "_wall" if analysis.headline.of == "LA wall" else ""
    share, area = (analysis.measurements[f"dense_scar_{what}{end}"].value for what in ("area_pct", "area_cm2"))
    return "" if share is None or area is None else f"{share:.1f} % is dense scar ({area:.1f} cm²)"


def _stage(analysis: Analysis) -> dict[str, str]:
    """The stage in words: which of four, its range, what share of the wall's volume it stands for; empty unless the scan was declared native."""
    end = "_wall" if analysis.measurements["utah_stage_wall"].value is not None else ""
    quantity, share = (analysis.measurements[key + end] for key in ("utah_stage", "scar_pct_of_wall_volume"))
    if quantity.value is None or share.value is None:
        return {}
    number, limits = find_number("utah_stage"), UTAH_LIMITS_PCT[analysis.settings.staging]
    below, above = ((*limits, None)[int(quantity.value) - 1], (None, *limits)[int(quantity.value) - 1])
    means = f"under {below:g} %" if above is None else f"over {above:g} %" if below is None else f"{above:g}–{below:g} %"
    ends = {number.text(value) for value in (quantity.low, quantity.high) if value is not None}
    spread = number.range_text(quantity) if len(ends) > 1 else ""
    certain = "" if spread or not ends else "the same over the whole perturbation range"
    return {"stage": number.text(quantity.value), "means": means, "share": f"{share.value:.1f} %", "spread": spread, "certain": certain}


def _labels(analysis: Analysis) -> list[SurfaceLabels] | None:
    """What is beyond which plane, and the regions of the wall; None where there are none."""
    walls, bare = analysis.findings.landmarks.walls, analysis.findings.landmarks.surface
    return None if walls is None else [SurfaceLabels.walls("Walls", walls.labels, walls.names), SurfaceLabels.regions(bare.region)]


def _live(analysis: Analysis, findings: FindingRows, labels: Sequence[SurfaceLabels] | None) -> dict[str, str | bool]:
    """The live surface; empty without plotly, whose script it runs on."""
    script = packed_script()
    if script is None:
        return {}
    words = {"statistic": how(analysis), "of": analysis.headline.of, "own": analysis.headline.share, "how_decided": how_decided(analysis)}
    slides = slider_threshold(analysis) is not None
    return {"script": script, "data": live_surface(analysis, findings, labels), "slides": slides} | words


def _method(analysis: Analysis) -> dict[str, str | bool]:
    method = analysis.method
    level = method.threshold_intensity
    protocol = PROTOCOLS[method.protocol] if method.protocol else None
    return {
        "label": method.label,
        "level": "" if level is None else f"{level:.4g}",
        "preset": method.preset or "",
        "source": method.source,
        "calibrated": method.calibrated,
        "because": "; ".join(method.not_calibrated_because),
        "as_published": protocol.as_published if protocol else "",
        "differs": protocol.differs if protocol else "",
        "is_rule": method.is_rule,
        "published_for": method.published_for or "",
        "wall": "the wall mask that was given" if method.wall_given else f"0–{analysis.settings.wall_outside_mm:g} mm outside the cavity",
    }


def _rows(analysis: Analysis) -> list[dict[str, str]]:
    """The numbers that were computed, in the order in which they are shown, then the names of the others."""
    known = [(number, analysis.measurements[number.key]) for number in NUMBERS]
    return [_row(number, quantity, analysis.method.parameter_name) for number, quantity in known]


def _others(analysis: Analysis) -> list[dict[str, str]]:
    """What the other published protocols find on this scan."""
    return [
        {"name": other.label, "share": f"{other.area_pct:.1f}", "source": PROTOCOLS[other.protocol].source, "how": PROTOCOLS[other.protocol].title}
        for other in analysis.other_protocols
    ]


def _row(number: Number, quantity: Quantity, parameter_name: str | None) -> dict[str, str]:
    unit = "" if quantity.value is None else number.unit_for_people(parameter_name)
    return {"label": number.label, "value": number.text(quantity.value), "unit": unit, "range": number.range_text(quantity)}


def _pictures(analysis: Analysis, folder: Path) -> list[dict[str, str]]:
    """Each figure that is there: base64 PNG, the text for those who don't see it, what stands below it."""
    pictures = []
    for kind in FIGURES:
        if (folder / kind.file_name).is_file():
            data = base64.b64encode((folder / kind.file_name).read_bytes()).decode("ascii")
            pictures.append({"data": data, "alt": kind.describe(analysis), "caption": kind.caption(analysis)})
    return pictures


def _presets(analysis: Analysis) -> list[dict[str, str | bool]]:
    """What every published threshold would say about this scan, by the ratio it means there."""
    if analysis.withheld:
        return []
    method, blood = analysis.method, analysis.blood_pool
    level, rows = method.threshold_intensity, []
    for scar in published_scars(analysis.samples[0]):
        chosen = method.is_rule and method.name == scar.rule.name and abs(level - scar.iir * blood.mean) < 1e-6 * blood.mean
        row = {"name": scar.label, "source": scar.preset.source, "published_for": scar.preset.published_for, "chosen": chosen}
        numbers = {"ratio": f"{scar.iir:.2f}", "area": f"{scar.area_pct:.1f}", "volume": f"{scar.volume_pct:.1f}"}
        rows.append(row | numbers)
    return rows
