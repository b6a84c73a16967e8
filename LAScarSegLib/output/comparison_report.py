"""A comparison of two results in words: one self-contained HTML page, no network, no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..analysis.comparison import COMPARED_NUMBERS, SurfaceComparison
from ..measure.numbers import DASH, UNIT_TEXT, find_number
from ..support.flags import QualityFlag, gravest_first
from ..support.resources import resource_path
from .compared_findings import page_tables
from .figures import change_map
from .report import flatten, require_jinja2
from .result_surface import ResultSurface

TEMPLATE = "comparison.html.j2"


@dataclass(frozen=True, eq=False)
class ComparedResults:
    """Two results, what their comparison found, their numbers side by side (`analysis.comparison.side_by_side`), and every remark."""

    a: ResultSurface
    b: ResultSurface
    comparison: SurfaceComparison
    beside: list[dict[str, Any]]
    flags: tuple[QualityFlag, ...]
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def remarks(self) -> list[QualityFlag]:
        """The gravest first."""
        return gravest_first(self.flags)

    @property
    def figure_title(self) -> str:
        return "Two methods" if self.comparison.of_methods else "Before and after"

    @property
    def headline(self) -> str:
        """"New scar 9.8 cm², gone 1.2 cm², in both 4.0 cm² (Dice 0.62)"."""
        numbers = self.comparison.numbers
        areas = [f"{numbers[key]:.1f} cm²" for key in ("only_b_cm2", "only_a_cm2", "both_cm2")]
        words = ("B alone", "A alone", "both") if self.comparison.of_methods else ("New scar", "gone", "before and after")
        dice = "" if numbers["dice"] is None else f" (Dice {numbers['dice']:.2f})"
        prefix = "Scar by " if self.comparison.of_methods else ""
        return prefix + ", ".join(f"{word} {area}" for word, area in zip(words, areas)) + dice

    @property
    def residual_sentence(self) -> str:
        """How well the surfaces fit, as they were compared."""
        residual = self.comparison.residual
        return f"The surfaces are {residual.mean_mm:.1f} mm apart in the mean, 95 % within {residual.p95_mm:.1f} mm."

    def to_json(self) -> dict[str, Any]:
        """The content of comparison.json."""
        comparison = self.comparison
        motion = None if comparison.registration is None else comparison.registration.motion
        return {
            **self.provenance,
            "kind": "methods" if comparison.of_methods else "before_after",
            "numbers": {n.key: {"value": comparison.numbers[n.key], "unit": n.unit} for n in COMPARED_NUMBERS},
            "tolerance_mm": comparison.tolerance_mm,
            "results": {name: _result_json(result) for name, result in (("a", self.a), ("b", self.b))},
            "side_by_side": self.beside,
            "registration": None if motion is None else {
                "matrix": motion.matrix, "angle_deg": motion.angle_deg, "shift_mm": motion.shift_mm,
                "residual": comparison.registration.residual.to_json(),
                "bent_by_mm": comparison.registration.bent_by_mm if comparison.registration.bent_residual else None,
                "residual_after_bending": bent.to_json() if (bent := comparison.registration.bent_residual) else None,
            },
            "residual": comparison.residual.to_json(),
            "quality_flags": [flag.to_json() for flag in self.flags],
            **comparison.findings.to_json(),
        }  # fmt: skip


def _result_json(result: ResultSurface) -> dict[str, Any]:
    keep = ("headline", "planes_source", "protocol", "quality_flags")
    return {
        "folder": result.folder, "label": result.label, "method": result.method, "image_sha256": result.image_sha256,
        "simulated": result.simulated, "created": result.provenance.get("created"), "version": result.provenance.get("version"),
        **{key: result.measurements.get(key) for key in keep},
    }  # fmt: skip


def render_comparison(compared: ComparedResults, picture: Path | None) -> str:
    """The page's HTML, with the change map if there is one."""
    require_jinja2()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_path("Report")), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    comparison = compared.comparison
    figure = None
    if picture is not None and picture.is_file():
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        figure = {"data": data, "alt": change_map.describe(compared), "caption": change_map.caption(compared)}
    return environment.get_template(TEMPLATE).render(
        methods=comparison.of_methods, title=f"{compared.a.folder} and {compared.b.folder}", numbers=comparison.numbers,
        headline=compared.headline, simulated=compared.provenance.get("simulated"),
        unknown=[name for name, result in (("A", compared.a), ("B", compared.b)) if result.simulated is None],
        remarks=compared.remarks, figure=figure,
        rows=number_rows(comparison), found=page_tables(comparison.findings), beside=[_beside(row) for row in compared.beside], results=[("A", compared.a), ("B", compared.b)],
        registration=comparison.registration, residual=comparison.residual, tolerance=f"{comparison.tolerance_mm:.1f}",
        provenance=flatten({"results": {name: _result_json(r) for name, r in (("a", compared.a), ("b", compared.b))}} | dict(compared.provenance)),
        version=__version__,
    )  # fmt: skip


def number_rows(comparison: SurfaceComparison) -> list[dict[str, str]]:
    """Every number of a comparison in words: `label`, `value` and `unit`."""
    return [
        {
            "label": number.of_methods if comparison.of_methods else number.label, "value": number.text(comparison.numbers[number.key]),
            "unit": UNIT_TEXT.get(number.unit, number.unit),
        }
        for number in COMPARED_NUMBERS
    ]  # fmt: skip


def _beside(row: Mapping[str, Any]) -> dict[str, str]:
    number = find_number(row["key"])

    def shown(part: Mapping[str, Any]) -> str:
        ends = "" if part["low"] is None or part["high"] is None else f" ({number.text(part['low'])} {DASH} {number.text(part['high'])})"
        return f"{number.text(part['value'])}{ends}"

    overlap = {True: "yes", False: "no", None: DASH}[row["ranges_overlap"]]
    difference = f"{row['difference']:+.{number.decimals}f}"
    return {"label": number.label, "unit": number.unit_text, "a": shown(row["a"]), "b": shown(row["b"]), "difference": difference, "overlap": overlap}
