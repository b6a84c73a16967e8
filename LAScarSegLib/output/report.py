"""The report: one self-contained HTML page that a cardiologist can read, print and send; no network, no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..analysis.method import describe_cavity
from ..errors import ProcessingError
from ..measure.numbers import DASH, HEADLINE, NUMBERS, Number, Quantity
from ..measure.published import published_scars
from ..support.flags import QualityFlag
from ..support.resources import resource_path
from .figures import FIGURES

if TYPE_CHECKING:
    from ..analysis import Analysis

TEMPLATE_FOLDER = "Report"
TEMPLATE = "report.html.j2"
SAID_ELSEWHERE = "no_planes"
"""The flag whose words stand in a box of their own, below the method."""


def require_jinja2() -> None:
    """`ProcessingError` that names the remedy when jinja2 isn't installed (Slicer doesn't bring it)."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        message = f"The report needs the package jinja2, which can't be imported ({error}). Install it: pip install jinja2"
        raise ProcessingError(message) from error


def write_report(analysis: Analysis, path: Path, figures: Path, notes: Sequence[QualityFlag] = ()) -> Path:
    """Write the report to `path` with the figures that are in the folder `figures`; `notes` join the quality flags."""
    path.write_text(render_report(analysis, figures, notes), encoding="utf-8")
    return path


def render_report(analysis: Analysis, figures: Path, notes: Sequence[QualityFlag] = ()) -> str:
    """The report's HTML."""
    require_jinja2()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_path(TEMPLATE_FOLDER)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    pictures = _pictures(analysis, figures)
    return environment.get_template(TEMPLATE).render(
        title=_title(analysis),
        headline=_headline(analysis),
        cavity=describe_cavity(analysis.sources.cavity),
        method=_method(analysis),
        flags=[flag for flag in (*analysis.flags, *notes) if flag.code != SAID_ELSEWHERE],
        planes=analysis.planes,
        simulated=bool(analysis.provenance.get("simulated")),
        measurements=[_row(number, analysis.measurements[number.key]) for number in NUMBERS],
        lead_figures=pictures[:1],
        figures=pictures[1:],
        presets=_presets(analysis),
        provenance=flatten(analysis.provenance),
        version=__version__,
    )


@dataclass(frozen=True)
class Picture:
    """A figure as the page needs it: base64 PNG, the text for those who don't see it, what stands below it."""

    name: str
    data: str
    alt: str
    caption: str


@dataclass(frozen=True)
class PresetRow:
    """What a published threshold would say about this scan."""

    name: str
    source: str
    published_for: str
    ratio: str
    area: str
    volume: str
    chosen: bool


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


def _title(analysis: Analysis) -> str:
    """The name of the scan, as far as the provenance knows it."""
    inputs = analysis.provenance.get("inputs") or {}
    image = inputs.get("image") if isinstance(inputs, dict) else None
    path = image.get("path") if isinstance(image, dict) else image
    return Path(str(path)).name if path else "LGE-MRI"


def _headline(analysis: Analysis) -> dict[str, str]:
    quantity = analysis.measurements[HEADLINE.key]
    area = analysis.measurements["scar_area_cm2"].value
    square_cm = "" if area is None else f"{area:.1f} cm²"
    return {"value": HEADLINE.text(quantity.value), "range": HEADLINE.range_text(quantity), "area": square_cm}


def _method(analysis: Analysis) -> dict[str, str | bool]:
    method = analysis.method
    level = method.threshold_intensity
    return {
        "label": method.label,
        "level": "" if level is None else f"{level:.4g}",
        "preset": method.preset or "",
        "source": method.source,
        "calibrated": method.calibrated,
        "is_rule": method.is_rule,
        "published_for": method.published_for or "",
        "wall": "the wall mask that was given" if method.wall_given else f"0–{analysis.settings.wall_outside_mm:g} mm outside the cavity",
    }


def _row(number: Number, quantity: Quantity) -> dict[str, str]:
    unit = "" if quantity.value is None else number.unit_text
    return {"label": number.label, "value": number.text(quantity.value), "unit": unit, "range": number.range_text(quantity)}


def _pictures(analysis: Analysis, folder: Path) -> list[Picture]:
    pictures = []
    for kind in FIGURES:
        file = folder / kind.file_name
        if file.is_file():
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            pictures.append(Picture(file.stem, data, kind.describe(analysis), kind.caption(analysis)))
    return pictures


def _presets(analysis: Analysis) -> list[PresetRow]:
    """Every published threshold, by the ratio it means on this scan."""
    method, blood = analysis.method, analysis.blood_pool
    level, rows = method.threshold_intensity, []
    for scar in published_scars(analysis.samples[0]):
        chosen = method.is_rule and method.name == scar.rule.name and abs(level - scar.iir * blood.mean) < 1e-6 * blood.mean
        numbers = (f"{scar.iir:.2f}", f"{scar.scar_area_pct:.1f}", f"{scar.scar_pct_of_wall_volume:.2f}")
        rows.append(PresetRow(scar.label, scar.preset.source, scar.preset.published_for, *numbers, chosen))
    return rows
