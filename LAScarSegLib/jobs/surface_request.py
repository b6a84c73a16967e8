"""Measure a surface that somebody else made, without a scan: from a mesh file to a result folder."""

from dataclasses import dataclass
from pathlib import Path

from ..analysis.provenance import describe_file
from ..analysis.sources import PlanesToFind
from ..analysis.surface_alone import SurfaceAnalysis, analyse_surface
from ..datasets.layouts import is_simulated
from ..errors import InputError
from ..output.surface_writing import write_surface_result
from ..output.writing import check_output
from ..support.progress import Progress
from ..surface.band_reach import BandReach
from ..surface.mesh_files import ScarCondition, find_array, read_surface_file, scar_of
from ..surface.mesh_repair import UNITS_MM
from ..surface.region_schemes import USUAL_SCHEME, check_scheme
from .request import read_plane_files


@dataclass(frozen=True)
class SurfaceRequest:
    """What to measure.

    `scar` is an array's name, or a condition such as `scalars>100`; None measures the shape only. `dense` is the limit of dense scar in
    the same array; `lge` names the array of grey levels where it is another, or is not taken for one; `unit` that of the coordinates;
    `find_planes` asks that planes are looked for where none is given; `regions` is the scheme that divides the wall; `bands` say how far
    from the ostia gaps are looked for.
    """

    mesh: Path
    output: Path
    scar: str | None = None
    dense: float | None = None
    lge: str | None = None
    planes: tuple[Path, ...] = ()
    unit: str | None = None
    label: str = ""
    find_planes: bool = True
    regions: str = USUAL_SCHEME
    force: bool = False
    bands: BandReach = BandReach()


def measure_surface(request: SurfaceRequest, progress: Progress) -> SurfaceAnalysis:
    """Measure the mesh, and write the result.

    Raises
    ------
    InputError
        no mesh that can be measured, no such array, planes that do not cut it, an output folder that can't be used.
    """
    if request.unit is not None and request.unit not in UNITS_MM:
        raise InputError(f"The unit {request.unit!r} is not known. Give one of {', '.join(UNITS_MM)}.")
    check_scheme(request.regions)
    check_output(request.output, request.force)
    progress.report("read", 0.0, "Reading the surface")
    file = read_surface_file(request.mesh, request.unit)
    scar = None if request.scar is None else scar_of(file, ScarCondition.parse(request.scar))
    lge = None if request.lge is None else file.on_points(find_array(file, request.lge))
    progress.report("measure", 0.5, "Measuring the surface")
    planes = read_plane_files(request.planes) or (PlanesToFind() if request.find_planes else ())
    analysis = analyse_surface(
        file, scar, dense=request.dense, lge=lge, planes=planes, regions=request.regions, bands=request.bands, label=request.label,
        inputs={"surface": describe_file(request.mesh, request.output)}, simulated=True if is_simulated(request.mesh.parent) else None,
    )  # fmt: skip
    progress.report("write", 0.8, "Writing the result")
    write_surface_result(analysis, request.output, force=request.force)
    return analysis
