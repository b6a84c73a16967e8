"""Writes the analysis of a surface that came without a scan: the surface, its numbers, where it comes from; all or nothing."""

from pathlib import Path

from ..analysis.surface_alone import SurfaceAnalysis
from ..support.whole_folder import whole_folder
from ..surface.polydata import write_vtp
from .csv_tables import write_gaps_csv, write_json, write_quantities_csv, write_regions_csv
from .writing import MARKER, RESULT

SIMULATED_WORDS = {True: "yes", False: "no", None: ""}
"""Empty where nobody knows."""


def write_surface_result(analysis: SurfaceAnalysis, folder: str | Path, *, force: bool = False) -> Path:
    """Write `surface.vtp`, `measurements.json`, `measurements.csv` and `provenance.json`, what was found around the veins (`regions.csv`,
    `gaps.csv`) and the planes that were found (`planes_found.json`), where there are any; returns the folder, absolute.

    Raises
    ------
    InputError
        the folder can't be used (`check_output`).
    ProcessingError
        a file could not be written. Nothing is left behind.
    """
    folder = Path(folder).expanduser().resolve()
    with whole_folder(folder, force, RESULT) as partial:
        write_vtp(analysis.surface, partial / "surface.vtp")
        write_json(analysis.measurements_json(), partial / "measurements.json")
        write_quantities_csv(_about(analysis), analysis.measurements, analysis.method.parameter_name, partial / "measurements.csv")
        _write_findings(analysis, partial)
        files = sorted([*(file.name for file in partial.iterdir()), MARKER])
        write_json(analysis.provenance | {"files": files}, partial / MARKER)
    return folder


def _write_findings(analysis: SurfaceAnalysis, folder: Path) -> None:
    """The tables and the planes to be looked at and corrected, as a run has them."""
    found, search = analysis.findings, analysis.chosen.search
    if found.regions:
        write_regions_csv(found, folder / "regions.csv")
    if found.encirclements:
        write_gaps_csv(found, folder / "gaps.csv")
    if search is not None and search.planes:
        write_json({"coordinateSystem": "LPS"} | search.to_json(), folder / "planes_found.json")


def _about(analysis: SurfaceAnalysis) -> list[tuple[str, str, str]]:
    """(key, label, text): which case and mesh, how scar was found."""
    mesh = analysis.provenance["inputs"].get("surface")
    return [
        ("case", "Case", analysis.label),
        ("surface", "Surface", Path(mesh["path"]).name if mesh else ""),
        ("method", "Method", analysis.method.label),
        ("headline", "Key of the first number", analysis.headline.number.key if analysis.headline else ""),
        ("simulated", "Simulated, not a patient", SIMULATED_WORDS[analysis.provenance["simulated"]]),
    ]
