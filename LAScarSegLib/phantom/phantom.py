"""One synthetic LGE-MRI of the left atrium: the picture, its masks, and the truth behind it (SCIENCE section 7)."""

from dataclasses import asdict, dataclass

import numpy as np

from ..errors import InputError
from ..support.progress import Progress
from ..surface.planes import CutPlane
from ..surface.surface import Surface
from ..volumes.files import SIMULATED
from ..volumes.volume import Box, Geometry, Volume
from .acquisition import Acquisition, acquire, coil_profile, texture
from .atrium import Atrium, cavity_extent, draw_atrium
from .render import ZERO_FILL, Rendering, draw_wall_greys, render
from .scar import ScarPattern, draw_scar
from .settings import PhantomSettings
from .shapes import grid_points
from .thorax import Thorax
from .truth import PhantomTruth, lesion_truth, surface_truth
from .wall import frame_around, make_nodes, zero_level

MARGIN_MM = 9.0
"""The finely rendered block reaches this far around the cavity."""
WHOLE_CHEST_MM = 300.0
"""A field of view from here on is centred on the chest, a smaller one on the LA."""
CHEST_CENTRE_Y_MM = 6.0
GREY_LIMIT = 4095
"""12 bits, as scanners store."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A scan and its truth; all volumes are on the image's grid, LPS mm.

    image
        uint16 grey levels of arbitrary gain.
    cavity, wall, scar
        uint8 0/1: majority of the fine samples in each voxel; wall and cavity are disjoint, scar is part of the wall.
    regions
        uint8 within the cavity: CemrgApp labels, body 1, veins 11…18, appendage 19.
    planes
        the mitral plane, the veins' ostial planes, the appendage's neck.
    truth
        numbers from the geometry itself.
    """

    settings: PhantomSettings
    image: Volume
    cavity: Volume
    wall: Volume
    scar: Volume
    regions: Volume
    planes: tuple[CutPlane, ...]
    truth: PhantomTruth


def make_phantom(settings: PhantomSettings | None = None, progress: Progress | None = None) -> Phantom:
    """Draw, render and scan one phantom. Anatomy, scar and scanner have their own random streams of the same seed, so
    that another SNR, say, leaves the anatomy as it was. Raises `InputError` when the LA doesn't fit into the field of view.
    """
    settings = settings or PhantomSettings()
    progress = progress or Progress()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(4)]
    progress.report("anatomy", 0.0, "Drawing the left atrium and its neighbours")
    atrium = draw_atrium(settings, streams[0])
    low, high = cavity_extent(atrium)
    image = _image_geometry(settings, low, high)
    box, frame = frame_around(low, high, image, MARGIN_MM)
    nodes = make_nodes(atrium, frame)
    # The closed surface of the cavity: veins end at their stumps, a disc closes the mitral plane.
    mesh = zero_level(np.maximum(nodes.distance, nodes.beyond), frame)
    pattern = draw_scar(settings, atrium, nodes, mesh, streams[1])
    thorax = Thorax.draw(atrium, streams[2])
    progress.report("rendering", 0.3, "Rendering the heart at 0.3 mm")
    greys = draw_wall_greys(pattern, thorax.tissue.wall, streams[2])
    rendering = render(box, pattern, thorax.paint(frame, softness_mm=1.0), greys, atrium.wall_mm, image.voxel_volume_ml)
    progress.report("acquisition", 0.6, "Scanning it")
    acquired = _acquired_geometry(image)
    picture = _paint_field_of_view(acquired, rendering, thorax)
    acquisition = Acquisition.draw(settings.snr, streams[3])
    scan = _scan(picture, acquired, rendering, settings.blood_cv, acquisition, streams[3])
    truth = _truth(settings, atrium, pattern, mesh, rendering, thorax, acquisition)
    progress.report("acquisition", 1.0, "Done")
    return Phantom(settings, Volume(scan, image, (SIMULATED,)), *_labels(image, rendering, atrium), atrium.planes(), truth)


def _image_geometry(settings: PhantomSettings, low: np.ndarray, high: np.ndarray) -> Geometry:
    """The image's grid around the cavity, which fills the box low…high (LPS mm)."""
    rotation = np.asarray(settings.direction, dtype=float).reshape(3, 3)
    extent = np.array(settings.size) * np.array(settings.spacing)
    centre = (low + high) / 2
    if min(extent[:2]) > WHOLE_CHEST_MM:
        centre[:2] = 0.0, CHEST_CENTRE_Y_MM
    corners = np.array(np.meshgrid(*zip(low, high))).reshape(3, -1).T
    needed = 2 * np.abs((corners - centre) @ rotation).max(axis=0)
    # Corners of the box stick out of a rotated LA: only what can't hold the LA itself is refused.
    if np.any(extent < 0.85 * needed):
        raise InputError(
            f"The field of view of {extent[0]:.0f} × {extent[1]:.0f} × {extent[2]:.0f} mm can't hold this left atrium, which needs "
            f"about {needed[0]:.0f} × {needed[1]:.0f} × {needed[2]:.0f} mm. Give a larger size or a smaller la_volume_ml."
        )
    origin = centre - rotation @ (extent / 2 - np.array(settings.spacing) / 2)
    return Geometry(tuple(settings.size), tuple(settings.spacing), tuple(origin.tolist()), tuple(settings.direction))


def _acquired_geometry(image: Geometry) -> Geometry:
    """The acquired grid: each of its voxels holds `ZERO_FILL`² image voxels."""
    size = (image.size[0] // ZERO_FILL, image.size[1] // ZERO_FILL, image.size[2])
    spacing = (image.spacing[0] * ZERO_FILL, image.spacing[1] * ZERO_FILL, image.spacing[2])
    shift = (ZERO_FILL - 1) / 2
    origin = image.index_to_lps(np.array([[shift, shift, 0.0]]))[0]
    return Geometry(size, spacing, tuple(origin.tolist()), image.direction)


def _acquired_slices(box: Box) -> tuple[slice, slice, slice]:
    """Where the voxels of a block of the image lie in the acquired grid."""
    return Box(*((k, j // ZERO_FILL, i // ZERO_FILL) for k, j, i in (box.start, box.stop))).slices


def _paint_field_of_view(acquired: Geometry, rendering: Rendering, thorax: Thorax) -> np.ndarray:
    """(k, j, i) on the acquired grid: the chest in coarse strokes, the finely rendered heart put in."""
    picture = np.zeros(acquired.shape, np.float32)
    softness = float(np.mean(acquired.spacing))
    # In stacks of slices: the painter's temporaries would fill the memory otherwise.
    for start in range(0, acquired.shape[0], 8):
        slab = Box((start, 0, 0), (min(start + 8, acquired.shape[0]), *acquired.shape[1:]))
        picture[slab.slices] = thorax.paint(acquired.crop(slab), softness)
    picture[_acquired_slices(rendering.box)] = rendering.acquired
    return picture


def _scan(
    picture: np.ndarray, acquired: Geometry, rendering: Rendering, blood_cv: float, acquisition: Acquisition, rng: np.random.Generator
) -> np.ndarray:
    """uint16 (k, j, i) on the image's grid: the picture, on the acquired grid, as the scanner gives it."""
    profile = coil_profile(acquired, acquisition.bias)
    over_la = profile[_acquired_slices(rendering.box)][rendering.cavity[:, ::ZERO_FILL, ::ZERO_FILL]]
    profile /= over_la.mean()
    # What the noise and the coil profile leave of the wanted variation is texture.
    rest = blood_cv**2 - acquisition.snr**-2 - (over_la.std() / over_la.mean()) ** 2
    picture = picture * profile
    if rest > 0:
        picture *= 1 + np.float32(np.sqrt(rest)) * texture(acquired, acquisition, rng)
    scan = acquire(picture, acquired.spacing_kji, acquisition, rng)
    return np.clip(np.rint(scan * np.float32(acquisition.gain)), 0, GREY_LIMIT).astype(np.uint16)


def _labels(image: Geometry, rendering: Rendering, atrium: Atrium) -> tuple[Volume, ...]:
    """Cavity, wall, scar and regions, uint8 on the image's grid."""
    regions = np.where(rendering.cavity, np.maximum(atrium.region(grid_points(image, rendering.box)), 1), 0)
    part = image.crop(rendering.box)
    labels = (rendering.cavity, rendering.wall, rendering.scar, regions)
    return tuple(Volume(label.astype(np.uint8), part).expand(rendering.box, image) for label in labels)


def _truth(
    settings: PhantomSettings, atrium: Atrium, pattern: ScarPattern, mesh: Surface, rendering: Rendering, thorax: Thorax,
    acquisition: Acquisition,
) -> PhantomTruth:  # fmt: skip
    return PhantomTruth(
        seed=settings.seed,
        kind=settings.kind,
        vein_variant=atrium.variant,
        wall_thickness_mm=atrium.wall_mm,
        lesions=tuple(lesion_truth(lesion) for lesion in pattern.lesions),
        mitral_diameter_mm=2 * atrium.mitral.radius_mm,
        ostium_diameter_mm={vein.name: 2 * vein.radius_mm for vein in atrium.veins},
        greys_over_blood={"blood": 1.0, **asdict(thorax.tissue)},
        acquisition=asdict(acquisition),
        blood_grey=acquisition.gain,
        **rendering.volumes_ml,
        **surface_truth(atrium, pattern, mesh),
    )
