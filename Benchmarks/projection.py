"""Projection of 50,000 vertices: what `analyse` samples along every normal, against vtkProbeFilter and a plain loop.

`project_intensity` (linear interpolation, −1 … +3 mm, maximum) is compared with vtkProbeFilter at the same points;
`VoxelsAlongNormals` (the brightest wall voxel within ±3 mm) with a loop over the vertices. Both must give the same values.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from common.scans import SIZE_44, SPACING_44, left_atrium, scan_of
from common.timing import Bar, judge, median_seconds, print_table, ratio

from LAScarSegLib.analysis import Analysis, analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.projection import PROBE_STEP_MM, VoxelsAlongNormals, project_intensity
from LAScarSegLib.surface.surface import Surface

VERTICES, BAR_SECONDS, AGREEMENT_BAR = 50_000, 0.5, 1e-3
"""How many vertices in how many seconds; grey levels of some hundred agree to float32's rounding."""
EDGE_MM = 0.55
"""Makes somewhat more than 50,000 vertices of this atrium; the first 50,000 are used."""
SETTINGS = Settings()
DISTANCES_MM = np.arange(SETTINGS.projection_from_mm, SETTINGS.projection_to_mm + 1e-9, SETTINGS.projection_step_mm)


def intensity(case: Analysis, surface: Surface) -> np.ndarray:
    """(N,) projected intensity, ours."""
    s = SETTINGS
    return project_intensity(
        case.lge_box, case.box_geometry, surface, s.projection_from_mm, s.projection_to_mm, s.projection_step_mm, s.projection_statistic
    )


def brightest_wall(case: Analysis, surface: Surface, wall: np.ndarray) -> np.ndarray:
    """(N,) brightest wall voxel, ours."""
    return VoxelsAlongNormals.along(case.box_geometry, surface, SETTINGS.scar_reach_mm).maximum(case.lge_box, wall)


def probe_filter(case: Analysis, surface: Surface) -> np.ndarray:
    """(N,) projected intensity with VTK."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkProbeFilter

    image = vtkImageData()
    image.SetDimensions(*case.box_geometry.size)
    image.SetSpacing(*case.box_geometry.spacing)
    image.SetOrigin(*case.box_geometry.origin)
    image.GetPointData().SetScalars(numpy_to_vtk(case.lge.ravel()))
    positions = surface.points[:, None, :] + DISTANCES_MM[None, :, None] * surface.normals[:, None, :]
    points, cloud, probe = vtkPoints(), vtkPolyData(), vtkProbeFilter()
    points.SetData(numpy_to_vtk(positions.reshape(-1, 3)))
    cloud.SetPoints(points)
    probe.SetInputData(cloud)
    probe.SetSourceData(image)
    probe.Update()
    return vtk_to_numpy(probe.GetOutput().GetPointData().GetScalars()).reshape(len(surface.points), -1).max(axis=1)


def loop(case: Analysis, surface: Surface, wall: np.ndarray) -> np.ndarray:
    """(N,) brightest wall voxel, one vertex after the other."""
    steps = int(np.ceil(SETTINGS.scar_reach_mm / PROBE_STEP_MM))
    distances = np.linspace(-SETTINGS.scar_reach_mm, SETTINGS.scar_reach_mm, 2 * steps + 1)[:, None]
    brightest = np.full(len(surface.points), -np.inf)
    for n, (point, normal) in enumerate(zip(surface.points, surface.normals)):
        k, j, i = np.rint(case.box_geometry.lps_to_index(point + distances * normal)).astype(int).T[::-1]
        inside = (k >= 0) & (k < wall.shape[0]) & (j >= 0) & (j < wall.shape[1]) & (i >= 0) & (i < wall.shape[2])
        k, j, i = k[inside], j[inside], i[inside]
        brightest[n] = case.lge[k, j, i].max(initial=-np.inf, where=wall[k, j, i])
    return brightest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--loop-repetitions", type=int, default=1, help="of the plain loop, which takes seconds")
    arguments = parser.parse_args()
    cavity = left_atrium(SIZE_44, SPACING_44)
    case = analyse(scan_of(cavity), SETTINGS, cavity=cavity, ranges=False)
    wall, mesh = case.wall_box, cavity_surface(case.cavity_box, case.box_geometry, EDGE_MM)
    surface = Surface(mesh.points[:VERTICES], mesh.triangles[:0], mesh.normals[:VERTICES])
    lge_seconds, lge = median_seconds(lambda: intensity(case, surface), arguments.repetitions)
    vtk_seconds, vtk_lge = median_seconds(lambda: probe_filter(case, surface), arguments.repetitions)
    peak_seconds, peak = median_seconds(lambda: brightest_wall(case, surface, wall), arguments.repetitions)
    loop_seconds, loop_peak = median_seconds(lambda: loop(case, surface, wall), arguments.loop_repetitions)
    print_table(
        [f"{len(surface.points)} vertices", "ours, s", "reference, s", "faster"],
        [
            ["intensity; reference: vtkProbeFilter", f"{lge_seconds:.3f}", f"{vtk_seconds:.3f}", ratio(vtk_seconds, lge_seconds)],
            ["brightest wall voxel; reference: a loop", f"{peak_seconds:.3f}", f"{loop_seconds:.3f}", ratio(loop_seconds, peak_seconds)],
        ],
    )
    same = float(np.mean(loop_peak == peak))
    return judge(
        [
            Bar("projection, both together", lge_seconds + peak_seconds, BAR_SECONDS, "s"),
            Bar("vertices", len(surface.points), VERTICES, "", at_least=True),
            Bar("largest difference to vtkProbeFilter", float(np.abs(lge - vtk_lge).max()), AGREEMENT_BAR, "grey levels"),
            Bar("vertices with the loop's brightest voxel", 100 * same, 100.0, "%", at_least=True),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
