"""Gaps around the veins: how fast on 50,000 vertices, and how many of the phantoms' gaps are found.

    python Benchmarks/gaps.py [--phantoms 14] [--vertices-mm 0.6]

Speed: making the bands once, and the encirclements after a change of the scar, with the search's share; beside it the plain search that
starts from every node of the cut, which must come to the same cost. Phantoms: from the true surface, planes and scar, a gap that is found
within 8 mm of a true one is a hit. True gaps that were drawn shorter than 3 mm and set to just that length lie on the limit of what counts
as a gap; the sensitivity is given with them and without. Times are processor seconds: other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import dijkstra

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.timing import Bar, judge, print_table, ratio

from LAScarSegLib.phantom.atrium import cavity_extent, draw_atrium
from LAScarSegLib.phantom.scar import draw_scar
from LAScarSegLib.phantom.settings import PhantomSettings
from LAScarSegLib.phantom.truth import LesionTruth, lesion_truth
from LAScarSegLib.phantom.wall import make_nodes, zero_level
from LAScarSegLib.surface.band_paths import edge_costs
from LAScarSegLib.surface.gaps import MIN_GAP_MM, Bands, Encirclement
from LAScarSegLib.surface.planes import label_regions
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.volumes.volume import Geometry

HIT_MM = 8.0
SPEED_SEED = 9
"""A phantom with four veins: six encirclements."""
MARGIN_MM = 9.0
MEASURED_VERTICES = 50_000


@dataclass(frozen=True, eq=False)
class Case:
    """A phantom's surface with regions, mm inside its true scar at every vertex (N,), and its true lines."""

    surface: Surface
    scar_mm: np.ndarray
    lesions: tuple[LesionTruth, ...]


def phantom(seed: int, node_mm: float) -> Case:
    """The anatomy and scar of a phantom, not scanned; the mesh's edges are about as long as its nodes' distance."""
    settings = PhantomSettings(seed=seed)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    atrium = draw_atrium(settings, streams[0])
    low, high = cavity_extent(atrium)
    size = np.ceil((high - low + 2 * MARGIN_MM) / node_mm).astype(int)
    nodes = make_nodes(atrium, Geometry(tuple(size.tolist()), (node_mm,) * 3, tuple((low - MARGIN_MM).tolist())))
    mesh = zero_level(np.maximum(nodes.distance, nodes.beyond), nodes.geometry)
    pattern = draw_scar(settings, atrium, nodes, mesh, streams[1])
    surface = mesh.with_arrays(region=label_regions(mesh, atrium.planes()))
    return Case(surface, pattern.signed_mm(mesh.points), tuple(lesion_truth(lesion) for lesion in pattern.lesions if lesion.closed))


def cpu_seconds(work, repetitions: int):
    """The median processor time of `work()` in seconds, and what it returned last."""
    seconds, result = [], None
    for _ in range(repetitions):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds)), result


def plain_search(bands: Bands, level: np.ndarray) -> list[float]:
    """The least cost around each vein or pair, by a search from every node of its cut."""
    least = []
    for band in bands.bands:
        graph = band.graph
        starts = graph._starts(graph._shortest_cut(band.separates))
        cover = graph._cover(edge_costs(bands.mesh, band, level))
        least.append(min(dijkstra(cover, indices=start)[band.separates * graph.nodes + start] for start in starts))
    return least


def exact_search(bands: Bands, level: np.ndarray) -> list[float]:
    """The same with the library's search."""
    least = []
    for band in bands.bands:
        costs = edge_costs(bands.mesh, band, level)
        path = band.graph.cheapest_closed_path(costs, band.separates)
        of_edge = {}
        for edge, cost in zip(map(frozenset, band.graph.edges.tolist()), costs):
            of_edge[edge] = min(cost, of_edge.get(edge, np.inf))
        least.append(sum(of_edge[frozenset(pair)] for pair in zip(path.tolist(), np.roll(path, -1).tolist())))
    return least


def speed(node_mm: float, repetitions: int) -> list[Bar]:
    case = phantom(SPEED_SEED, node_mm)
    made_s, bands = cpu_seconds(lambda: Bands.of(case.surface), repetitions)
    first_s, _ = cpu_seconds(lambda: bands.encirclements(case.scar_mm), 1)
    change_s, found = cpu_seconds(lambda: bands.encirclements(case.scar_mm - 0.5), repetitions)

    def searched() -> list[np.ndarray]:
        return [b.graph.cheapest_closed_path(edge_costs(bands.mesh, b, case.scar_mm), b.separates) for b in bands.bands]

    search_s, _ = cpu_seconds(searched, repetitions)
    plain_s, plain = cpu_seconds(lambda: plain_search(bands, case.scar_mm), 1)
    print_table(
        [f"{len(case.surface.points)} vertices, {len(found)} encirclements", "CPU s"],
        [
            ["bands and their graphs, once", f"{made_s:.2f}"],
            ["first encirclements", f"{first_s:.2f}"],
            ["encirclements after a change", f"{change_s:.2f}"],
            ["  of which the exact search", f"{search_s:.2f}"],
            ["the search from every node of the cut", f"{plain_s:.2f} ({ratio(plain_s, search_s)})"],
        ],
    )
    return [
        Bar("bands and six encirclements", made_s + first_s, 3.0, "s"),
        Bar("encirclements after a change", change_s, 1.0, "s"),
        Bar("vertices", len(case.surface.points), MEASURED_VERTICES, "", at_least=True),
        Bar("difference to the plain search", float(np.abs(np.subtract(plain, exact_search(bands, case.scar_mm))).max()), 0.0, ""),
    ]


@dataclass
class Counts:
    """Gaps over all phantoms: true ones, those on the limit of length, and how many are found; found ones, and how many are true."""

    true: int = 0
    hit: int = 0
    on_limit: int = 0
    on_limit_hit: int = 0
    found: int = 0
    right: int = 0

    def add(self, lesion: LesionTruth, found: Encirclement) -> None:
        true, places = (np.array(p).reshape(-1, 3) for p in (lesion.gap_centres_lps, [gap.point_lps for gap in found.gaps]))
        apart = np.linalg.norm(true[:, None] - places[None], axis=2)
        hit, limit = apart.min(axis=1, initial=np.inf) <= HIT_MM, np.array(lesion.gap_lengths_mm).reshape(-1) <= MIN_GAP_MM
        self.true, self.hit = self.true + len(true), self.hit + int(hit.sum())
        self.on_limit, self.on_limit_hit = self.on_limit + int(limit.sum()), self.on_limit_hit + int((hit & limit).sum())
        self.found, self.right = self.found + len(places), self.right + int((apart.min(axis=0, initial=np.inf) <= HIT_MM).sum())


def accuracy(phantoms: int) -> list[Bar]:
    counts, errors, rows = Counts(), [], []
    for seed in range(phantoms):
        case = phantom(seed, 1.0)
        found = {e.around: e for e in Bands.of(case.surface).encirclements(case.scar_mm)}
        for lesion in case.lesions:
            e = found[lesion.encircles[0] if len(lesion.encircles) == 1 else lesion.name]
            counts.add(lesion, e)
            errors.append(e.rgm - lesion.relative_gap)
            lengths = (", ".join(f"{mm:.1f}" for mm in sorted(all_mm)) for all_mm in (lesion.gap_lengths_mm, [g.length_mm for g in e.gaps]))
            rows.append([f"{seed} {e.around}", *lengths, f"{lesion.relative_gap:.3f}", f"{e.rgm:.3f}"])
    print_table(["phantom, around", "true gaps, mm", "found, mm", "true RGM", "found"], rows)
    clear = counts.true - counts.on_limit
    print(f"\nRGM, found - true: median {np.median(errors):+.3f}, mean {np.mean(errors):+.3f}, SD {np.std(errors):.3f}, n = {len(errors)}")
    print(f"Sensitivity, gaps of exactly {MIN_GAP_MM:g} mm included: {counts.hit / counts.true:.3f} ({counts.hit} of {counts.true})")
    print(f"Without those: {counts.hit - counts.on_limit_hit} of {clear}. Found gaps that are true: {counts.right} of {counts.found}")
    return [
        Bar(f"sensitivity for gaps of more than {MIN_GAP_MM:g} mm", (counts.hit - counts.on_limit_hit) / clear, 0.85, "", at_least=True),
        Bar("positive predictive value", counts.right / counts.found, 0.85, "", at_least=True),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=14, help="seeds 0, 1, …; 0: speed alone")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--vertices-mm", type=float, default=0.58, help="distance of the vertices for the speed")
    arguments = parser.parse_args()
    bars = speed(arguments.vertices_mm, arguments.repetitions)
    if arguments.phantoms:
        print()
        bars += accuracy(arguments.phantoms)
    return judge(bars)


if __name__ == "__main__":
    sys.exit(main())
