"""The three laws of ARCHITECTURE as things that can be checked many times: `test_laws.py` does it briefly, `Benchmarks/laws.py` at length.

Scans are phantoms on coarse grids, so that an analysis takes a fraction of a second.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from same_analysis import assert_same
from scene_cases import network_of
from scipy import ndimage

from LAScarSegLib.analysis import Analysis, ByRule, Change, Drawn, Given, Mask, Network, Offset, analyse, revise
from LAScarSegLib.analysis.archive import read_analysis, write_analysis
from LAScarSegLib.analysis.provenance import describe_file
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.analysis.sources import Source
from LAScarSegLib.errors import InputError
from LAScarSegLib.intensity.protocols import PROTOCOLS
from LAScarSegLib.output.reading import read_result
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.phantom import Phantom, PhantomSettings, make_phantom
from LAScarSegLib.phantom.settings import oblique_direction
from LAScarSegLib.session.edits import Segments, ShownState, measure_edits
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.volumes.files import write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

NAMES = ("cavity", "wall", "scar")
SIZE, SPACING_MM = (60, 52, 36), (2.5, 2.5, 2.8)
"""Voxels and their size: the heart's field of view in a tenth of the usual number of voxels."""
PHANTOMS = 4
STARTS = ("rule", "mask", "network", "barcelona", "kcl", "khurram")
"""Where the scar comes from at the beginning of a story: the last three are protocols, one for each reading, the third with a given wall."""
RULES = (("iir", 1.1), ("iir", 1.2), ("iir", 1.32), ("nsd", 2.3), ("percentile", 80.0), ("otsu", None), ("kmeans", None))
QUICK = Settings(mesh_edge_mm=2.5)
"""A coarse mesh: an analysis takes half the time."""
SETTINGS = (
    {"native": True}, {"native": True, "staging": "utah2010"}, {"wall_outside_mm": 3.5}, {"blood_pool_erosion_mm": 4.0},
    {"projection_statistic": "mean"}, {"scar_reach_mm": 4.0}, {"regions": "benito2018"},
)  # fmt: skip


@functools.cache
def phantom(number: int) -> Phantom:
    """A small one; every second lies obliquely."""
    direction = oblique_direction(20.0 + 5 * number, -15.0, 10.0) if number % 2 else oblique_direction(0.0, 0.0, 0.0)
    settings = PhantomSettings(seed=400 + number, size=SIZE, spacing=SPACING_MM, direction=direction, la_volume_ml=60.0 + 5 * number)
    return make_phantom(settings)


def network_around(cavity: np.ndarray, number: int) -> Network:
    """A made-up scar network: smooth noise around the surface, in the wall and beside it."""
    noise = ndimage.gaussian_filter(np.random.default_rng(number).normal(size=cavity.shape), 1.5)
    shell = ndimage.binary_dilation(cavity, iterations=3) & ~ndimage.binary_erosion(cavity, iterations=2)
    return network_of(np.where(shell, 0.5 + 0.4 * np.tanh(12 * noise), 0.0), cavity)


def scar_of(number: int, start: str) -> ByRule | Given | Network:
    """Where the scar comes from at a start."""
    if start in PROTOCOLS:
        return ByRule.of_protocol(start)
    cavity = phantom(number).cavity.array > 0
    return {"rule": ByRule("iir"), "mask": Given(Mask.of(phantom(number).scar.array)), "network": network_around(cavity, number)}[start]


def wall_of(number: int, start: str) -> Offset | Given:
    """Automatic, unless the protocol needs a drawn one."""
    if start not in PROTOCOLS or not PROTOCOLS[start].needs_drawn_wall:
        return Offset()
    cavity = phantom(number).cavity.array > 0
    return Given(Mask.of(ndimage.binary_dilation(cavity, iterations=1 + number % 2) & ~cavity))


def scan_file(number: int, folder: Path) -> Path:
    """The scan of a phantom on disk."""
    path = folder / f"phantom{number}.nrrd"
    if not path.exists():
        write_volume(phantom(number).image, path)
    return path


def through_folder(analysis: Analysis, folder: Path) -> Analysis:
    """Written to a result folder and read back."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        write_results(analysis, Path(temporary) / "out", figures=False, report=False, scene=False)
        scan = folder / Path(analysis.provenance["inputs"]["image"]["path"]).name
        return read_result(Path(temporary) / "out", scan).analyse(ranges=analysis.has_ranges)


def through_archive(analysis: Analysis, folder: Path) -> Analysis:
    """Through the file that the worker's process hands to Slicer."""
    path = folder / "analysis.npz"
    write_analysis(analysis, path)
    return read_analysis(path, analysis.volume)


def through_scene(analysis: Analysis, folder: Path) -> Analysis:
    """Shown in a scene, saved as .mrb, loaded into another scene and taken up there."""
    from LAScarSegLib import scene as mrml
    from LAScarSegLib.session.edit_session import reopen

    mrml.write_mrb(analysis, folder / "scene.mrb", name="scan")
    scene = mrml.new_scene()
    mrml.read_mrb(scene, folder / "scene.mrb")
    return reopen(scene, scene.GetFirstNodeByName("scan"), ranges=analysis.has_ranges).analysis


CARRIERS = {"folder": through_folder, "archive": through_archive, "scene": through_scene}


def check_carrier(carrier: str, number: int, start: str, steps: Sequence[tuple[str, int, int]], folder: Path) -> None:
    """Law 2, and that what was read goes on as what was written: a change gives the same."""
    story = Story(number, start, checking=False)
    for what, place, size in steps:
        story.do(what, place, size, wait=False)
    story.measure(ranges=steps[0][2] % 2 == 0)
    check_written(carrier, story.analysis, scan_file(number, folder), folder, ("cavity", "scar")[steps[0][1] % 2])


def check_written(carrier: str, written: Analysis, scan: Path, folder: Path, then: str) -> None:
    """`written`, an analysis of the file `scan`, is read back as it was, and a change to the mask `then` gives the same."""
    if carrier == "folder":
        written = written.described({"image": describe_file(scan)})
    read = CARRIERS[carrier](written, folder)
    assert_same(written, read, same_run=True)
    smaller = Mask.of(ndimage.binary_erosion(written.masks["cavity"].whole()))
    change = Change(cavity=smaller) if then == "cavity" else Change(scar=written.masks["wall"])
    assert_same(revise(written, change, ranges=False), revise(read, change, ranges=False))


def regridded(volume: Volume, order: tuple[int, int, int], flips: Sequence[bool], rotation: np.ndarray) -> Volume:
    """The same voxels stored with other axes, and the patient turned by `rotation` about the origin: nothing is interpolated."""
    geometry = volume.geometry
    array = volume.array.transpose(order)
    ijk = [2 - axis for axis in order[::-1]]
    directions, spacing, size = geometry.rotation[:, ijk], [geometry.spacing[a] for a in ijk], [geometry.size[a] for a in ijk]
    origin = np.array(geometry.origin)
    for axis in range(3):
        if flips[axis]:
            array = np.flip(array, 2 - axis)
            origin = origin + directions[:, axis] * spacing[axis] * (size[axis] - 1)
            directions = directions * np.where(np.arange(3) == axis, -1.0, 1.0)
    turned = Geometry(tuple(size), tuple(spacing), tuple(rotation @ origin), tuple((rotation @ directions).ravel()))
    return Volume(np.ascontiguousarray(array), turned, volume.flags)


def turned_plane(plane: CutPlane, rotation: np.ndarray) -> CutPlane:
    return CutPlane(plane.name, tuple(rotation @ plane.origin), tuple(rotation @ plane.normal))


TO_ROUNDING = ("blood_pool_mean", "blood_pool_sd", "wall_volume_ml", "scar_volume_ml", "scar_pct_of_wall_volume", "threshold_intensity")
AREAS = ("la_surface_area_cm2", "la_volume_ml", "la_wall_area_cm2")
SHARES = ("scar_area_pct", "scar_area_pct_wall", "dense_scar_area_pct", "dense_scar_area_pct_wall", "scar_pct_of_wall_volume_wall")
AREA_TOLERANCE, SHARE_TOLERANCE_POINTS = 2e-3, 0.5
"""ARCHITECTURE, "Three laws", 3."""


def check_grid(number: int, start: str, order: tuple[int, int, int], flips: Sequence[bool], rotation: np.ndarray) -> None:
    """Law 3: the same numbers on a grid that is permuted, flipped and turned."""
    straight = phantom(number)

    def moved(volume: Volume) -> Volume:
        return regridded(volume, order, flips, rotation)

    scar, wall = scar_of(number, start), wall_of(number, start)
    if isinstance(scar, Given):
        scar = moved(straight.scar)
    if isinstance(wall, Given):
        wall = moved(straight.image.like(wall.mask.whole().astype(np.uint8)))
    if start == "network":
        found = network_around(straight.cavity.array > 0, number).probability.whole()
        scar = network_of(moved(straight.image.like(found)).array, moved(straight.cavity).array)
    planes = tuple(turned_plane(plane, rotation) for plane in straight.planes)
    other = analyse(moved(straight.image), cavity=moved(straight.cavity), wall=wall, scar=scar, planes=planes, ranges=False)
    one = _straight(number, start)
    for name in NAMES:
        np.testing.assert_array_equal(moved(getattr(one, name)).array, getattr(other, name).array, err_msg=name)
    values = [{key: quantity.value for key, quantity in analysis.measurements.items()} for analysis in (one, other)]
    for keys, tolerance in ((TO_ROUNDING, {"rel": 1e-6}), (AREAS, {"rel": AREA_TOLERANCE}), (SHARES, {"abs": SHARE_TOLERANCE_POINTS})):
        for key in keys:
            if values[0][key] is not None or values[1][key] is not None:
                assert values[1][key] == pytest.approx(values[0][key], **tolerance), f"{key}: {values[0][key]} and {values[1][key]}"


@functools.cache
def _straight(number: int, start: str) -> Analysis:
    straight, sources = phantom(number), {"wall": wall_of(number, start), "scar": scar_of(number, start)}
    return analyse(straight.image, cavity=straight.cavity, **sources, planes=straight.planes, ranges=False)


class Story:
    """A person at work on a result, and beside it what the sources are by the law's own words.

    `analysis` has gone through `measure_edits` and `revise` at every step, as in the panel; `expected` is `analyse` from nothing.
    """

    def __init__(self, number: int, start: str, checking: bool = True) -> None:
        cavity = Given(Mask.of(phantom(number).cavity.array))
        self._begin(phantom(number), {"cavity": cavity, "wall": wall_of(number, start), "scar": scar_of(number, start)}, checking)

    @classmethod
    def of(cls, case: Any, sources: Mapping[str, Source]) -> Self:
        """On another scan (`image`, `cavity` and `planes`), with these sources."""
        story = cls.__new__(cls)
        story._begin(case, dict(sources), checking=True)
        return story

    def _begin(self, case: Any, sources: dict[str, Source], checking: bool) -> None:
        self.phantom, self._checking = case, checking
        self.bases = sources
        self.drawn: dict[str, np.ndarray | None] = dict.fromkeys(NAMES)
        self.settings, self.planes = QUICK, ()
        self.undo_steps: list[tuple[dict, dict]] = []
        self.redo_steps: list[tuple[dict, dict]] = []
        self.analysis = self.expected()
        self.shown = [ShownState.of(self.analysis)]
        self.segments = self._masks()
        self.pending = False
        self.done: list[str] = []

    def expected(self, ranges: bool = False) -> Analysis:
        """`analyse` of the scan, the sources as they are now and the settings."""
        sources = {
            name: self.bases[name] if drawn is None else Drawn(Mask.of(drawn), self.bases[name]) for name, drawn in self.drawn.items()
        }
        return analyse(self.phantom.image, self.settings, **sources, planes=self.planes, ranges=ranges)

    def check(self, ranges: bool = False) -> None:
        """Law 1."""
        if self.pending or ranges:
            self.measure(ranges)
        if not self._checking:
            self.drawn = {name: drawn if self.analysis.origins[name].edited else None for name, drawn in self.drawn.items()}
            return
        expected = self.expected(ranges)
        assert_same(self.analysis, expected)
        for name in NAMES:
            if not expected.origins[name].edited:
                self.drawn[name] = None

    def measure(self, ranges: bool = False) -> None:
        """What the panel does after a stroke, and what it writes into the segments."""
        found = measure_edits(self._held(), self.analysis, self.shown, ranges)
        self._show(found)

    def do(self, what: str, place: int, size: int, wait: bool) -> None:
        """One change: `place` and `size` choose among its kinds; `wait` leaves a stroke unmeasured until the next one."""
        before = (dict(self.segments), dict(self.drawn)), list(self.undo_steps), list(self.redo_steps)
        pending, others = self.pending, (dict(self.bases), self.settings, self.planes)
        shown, analysis = list(self.shown), self.analysis
        self.done.append(f"{what} {place} {size}")
        try:
            getattr(self, f"_{what}")(place, size)
            if not (self.pending and wait):
                self.check()
        except InputError as refused:
            # A change that can't be (a plane that cuts nothing off any more) is refused either way, and the result stays.
            try:
                self.expected()
            except InputError as expected:
                assert str(refused) == str(expected)
            else:
                raise
            (self.segments, self.drawn), self.undo_steps, self.redo_steps = before
            self.pending, (self.bases, self.settings, self.planes) = pending, others
            self.shown, self.analysis = shown, analysis

    def _paint_cavity(self, place: int, size: int) -> None:
        self._settle_others()
        self._stroke("cavity", self.segments["cavity"] | self._ball(place, size))

    def _erase_cavity(self, place: int, size: int) -> None:
        self._settle_others()
        self._stroke("cavity", self.segments["cavity"] & ~self._ball(place, size))

    def _paint_cavity_over_everything(self, place: int, size: int) -> None:
        """ "Overwrite all" is on: what is newly painted is taken off the other segments."""
        self._settle()
        new = self._ball(place, size) & ~self.segments["cavity"]
        self._stroke("cavity", self.segments["cavity"] | new, wall=self.segments["wall"] & ~new, scar=self.segments["scar"] & ~new)

    def _draw_wall(self, place: int, size: int) -> None:
        self._settle()
        ball = self._ball(place, size)
        grown = self.segments["wall"] | (ball & ~self.segments["cavity"])
        self._stroke("wall", grown if size % 2 else self.segments["wall"] & ~ball)

    def _draw_scar(self, place: int, size: int) -> None:
        self._settle()
        self._stroke("scar", self.segments["scar"] ^ (self._ball(place, size) & self.segments["wall"]))

    def _erase_scar(self, place: int, size: int) -> None:
        """Around a place; all of it; or what lies far from the atrium, if anything does."""
        self._settle()
        if size == 2 and self.segments["scar"][:2, :2, :2].any():
            near = self.segments["scar"].copy()
            near[:2, :2, :2] = False
            return self._stroke("scar", near)
        self._stroke("scar", np.zeros_like(self.segments["scar"]) if size == 3 else self.segments["scar"] & ~self._ball(place, size))

    def _put_back(self, place: int, size: int) -> None:
        """A segment is made again what it was before anybody drew in it."""
        self._settle()
        name = NAMES[place % 3]
        if self.drawn[name] is None:
            return
        drawn, self.drawn[name] = self.drawn[name], None
        mask = self.expected().masks[name].whole()
        self.drawn[name] = drawn
        self._stroke(name, mask)
        self.drawn[name] = None

    def _undo(self, place: int, size: int) -> None:
        if self.undo_steps:
            self.redo_steps.append((dict(self.segments), dict(self.drawn)))
            self._restore(self.undo_steps.pop())

    def _redo(self, place: int, size: int) -> None:
        if self.redo_steps:
            self.undo_steps.append((dict(self.segments), dict(self.drawn)))
            self._restore(self.redo_steps.pop())

    def _change_threshold(self, place: int, size: int) -> None:
        """The slider, which is there for an unedited rule only."""
        self._settle()
        scar = self.analysis.sources.scar
        if isinstance(scar, ByRule) and scar.name == "iir":
            self.bases["scar"] = scar.with_threshold(1.0 + 0.05 * place)
            self._show(revise(self.analysis, Change(scar=self.bases["scar"]), ranges=False))

    def _replace_scar(self, place: int, size: int) -> None:
        """Another method and Apply: a rule, a protocol, a network, a mask; the segments begin anew."""
        self._settle()
        cavity = self.analysis.cavity.array > 0
        rule = ByRule(*RULES[place % len(RULES)])
        given = self._ball(place, 3) & ~cavity
        given[:2, :2, :2] = True  # far from the atrium, as a stray click leaves it
        protocol = ByRule.of_protocol(tuple(PROTOCOLS)[place % len(PROTOCOLS)])
        self.bases["scar"] = (rule, protocol, network_around(cavity, place), Given(Mask.of(given)))[size]
        self.drawn["scar"] = None
        self._begin_anew(Change(scar=self.bases["scar"]))

    def _replace_cavity(self, place: int, size: int) -> None:
        self._settle()
        self.bases["cavity"] = Given(Mask.of(ndimage.binary_dilation(self.phantom.cavity.array, iterations=1 + size % 2)))
        self.drawn["cavity"] = None
        self._begin_anew(Change(cavity=self.bases["cavity"]))

    def _change_settings(self, place: int, size: int) -> None:
        self._settle()
        self.settings = replace(QUICK, **SETTINGS[place % len(SETTINGS)])
        self._show(revise(self.analysis, Change(settings=replace(self.analysis.settings, **vars(self.settings))), ranges=False))

    def _move_planes(self, place: int, size: int) -> None:
        chosen = self.phantom.planes[: place % (len(self.phantom.planes) + 1)]
        self.planes = tuple(replace(plane, origin=tuple(np.add(plane.origin, 0.5 * size * np.array(plane.normal)))) for plane in chosen)
        self.pending = True

    def _stroke(self, name: str, mask: np.ndarray, **others: np.ndarray) -> None:
        """Segment Editor saves the segments before a stroke; a stroke that changes nothing is none."""
        if np.array_equal(mask, self.segments[name]):
            return
        self.undo_steps.append((dict(self.segments), dict(self.drawn)))
        self.redo_steps.clear()
        self.segments |= {name: mask} | others
        self.drawn[name] = self._as_before(name, mask)
        self.pending = True

    def _as_before(self, name: str, mask: np.ndarray) -> np.ndarray | None:
        """A mask that was shown before is as drawn as it was then; the scar follows from cavity and wall, so these count, too."""
        latest = self.shown[-1]
        for state in reversed(self.shown):
            others = ("cavity", "wall") if name == "scar" else ("cavity",) if name == "wall" else ()
            if state.masks[name] == Mask.of(mask) and all(state.masks[other] == latest.masks[other] for other in others):
                return mask if state.sources[name].origin.edited else None
        return mask

    def _restore(self, step: tuple[dict, dict]) -> None:
        self.segments, self.drawn = (dict(part) for part in step)
        self.pending = True

    def _settle_others(self) -> None:
        """Wall or scar erased and cavity painted over it, unmeasured, look like cavity painted with overwriting: nobody can tell."""
        if self.pending and any(Mask.of(self.segments[name]) != self.shown[-1].masks[name] for name in ("wall", "scar")):
            self.check()

    def _settle(self) -> None:
        if self.pending:
            self.check()

    def _begin_anew(self, change: Change) -> None:
        found = revise(self.analysis, change, ranges=False)
        self.undo_steps.clear()
        self.redo_steps.clear()
        self.shown = []
        self._show(found)

    def _show(self, found: Analysis) -> None:
        self.analysis = found
        self.shown.append(ShownState.of(found))
        masks = self._masks()
        if any(not np.array_equal(masks[name], self.segments[name]) for name in NAMES):
            # Segment Editor's redo lasts until something else writes into a segment.
            self.redo_steps.clear()
        self.segments, self.pending = masks, False

    def _masks(self) -> dict[str, np.ndarray]:
        return {name: self.analysis.masks[name].whole() for name in NAMES}

    def _held(self) -> Segments:
        return Segments(**{name: Mask.of(mask) for name, mask in self.segments.items()}, planes=self.planes)

    def _ball(self, place: int, size: int) -> np.ndarray:
        """(k, j, i) bool: a ball of 4 to 10 mm at one of many places on the atrium's surface."""
        geometry, cavity = self.phantom.image.geometry, self.phantom.cavity.array > 0
        rim = np.argwhere(cavity & ~ndimage.binary_erosion(cavity))
        centre = rim[place * 7919 % len(rim)]
        offset = np.stack(np.meshgrid(*(np.arange(n) - c for n, c in zip(cavity.shape, centre)), indexing="ij"), axis=-1)
        return np.linalg.norm(offset * geometry.spacing_kji, axis=-1) <= 4.0 + 2.0 * size


CHANGES = (
    "paint_cavity", "erase_cavity", "paint_cavity_over_everything", "draw_wall", "draw_scar", "erase_scar", "put_back", "undo", "undo",
    "redo", "change_threshold", "replace_scar", "replace_cavity", "change_settings", "move_planes",
)  # fmt: skip
