"""The catalogue of quality flags: what a reader of a result should know before trusting it. Every room may raise one."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from ..errors import Stopped

STOP, WARNING, NOTE = "stop", "warning", "note"
"""The numbers would be wrong, and nothing is measured unless somebody says so; they may be off; good to know."""
HEADINGS = {STOP: "Stop", WARNING: "Warning", NOTE: "Note"}
BY_SEVERITY = tuple(HEADINGS)
"""The gravest first, as people read them."""
FILE, NETWORK = "file", "network"
"""A remark on how a file was read or a network ran stays with what was read or found; every other flag is found anew with the numbers."""


@dataclass(frozen=True)
class FlagKind:
    """One kind of flag: a `title` of a few words, its usual `severity`, and what it depends on: `FILE`, `NETWORK`, or parts of a result."""

    title: str
    severity: str
    depends_on: tuple[str, ...]

    @property
    def stays_with_source(self) -> bool:
        return self.depends_on in ((FILE,), (NETWORK,))


MASKS_OF_FILES = ("cavity", "wall", "scar", "region of interest")
FLAGS: dict[str, FlagKind] = {
    # about a file, as it was read
    **{f"{mask}_label_not_1": FlagKind(f"Unusual {mask} label", NOTE, (FILE,)) for mask in MASKS_OF_FILES},
    **{f"{mask}_resampled": FlagKind(f"{mask.capitalize()} from another grid", WARNING, (FILE,)) for mask in MASKS_OF_FILES},
    "cavity_goes_on": FlagKind("Cavity goes on in other labels", WARNING, (FILE,)),
    "cavity_named_otherwise": FlagKind("Cavity is called something else", WARNING, (FILE,)),
    "computed_map": FlagKind("A map, not a scan", NOTE, (FILE,)),
    "corrected_mask_taken": FlagKind("Corrected mask beside the old one", NOTE, (FILE,)),
    "mask_header_differs": FlagKind("A mask lost its header", STOP, (FILE,)),
    "mask_header_rounded": FlagKind("Headers of scan and mask differ slightly", NOTE, (FILE,)),
    "mesh_branches": FlagKind("Walls within the mesh", WARNING, (FILE,)),
    "mesh_in_pieces": FlagKind("Mesh in pieces", WARNING, (FILE,)),
    "mesh_open": FlagKind("Open mesh", NOTE, (FILE,)),
    "mesh_repaired": FlagKind("Mesh put in order", NOTE, (FILE,)),
    "mesh_size_unusual": FlagKind("Not the size of a left atrium", WARNING, (FILE,)),
    "mesh_turned": FlagKind("Triangles were turned", NOTE, (FILE,)),
    "mesh_unit_assumed": FlagKind("Unit told from the size", WARNING, (FILE,)),
    "mesh_values_missing": FlagKind("Part of the surface has no value", WARNING, (FILE,)),
    "mesh_without_space": FlagKind("Mesh without coordinate system", WARNING, (FILE,)),
    "nifti_qform_sform_disagree": FlagKind("Header contradicts itself (position)", WARNING, (FILE,)),
    "nifti_spacing_disagrees": FlagKind("Header contradicts itself (spacing)", WARNING, (FILE,)),
    "nifti_without_orientation": FlagKind("Header without orientation", WARNING, (FILE,)),
    "probability_missing": FlagKind("Probability map is gone", WARNING, (FILE,)),
    "derived_image": FlagKind("Not an image as acquired", STOP, (FILE,)),
    "dicom_slices_missing": FlagKind("Slices are missing", STOP, (FILE,)),
    "dicom_spacing_contradicts": FlagKind("Header contradicts itself (distance of slices)", WARNING, (FILE,)),
    "nifti_axes_rounded": FlagKind("Axes rounded in the header", NOTE, (FILE,)),
    "not_mr": FlagKind("Not an MR image", STOP, (FILE,)),
    "psir": FlagKind("Phase-sensitive image, or one with an offset", STOP, (FILE,)),
    "scene_missing": FlagKind("No Slicer scene", NOTE, (FILE,)),
    "simulated": FlagKind("Simulated, not a patient", WARNING, (FILE,)),
    "surface_figures_missing": FlagKind("No pictures of the surface", NOTE, (FILE,)),
    # about a comparison of two results
    "common_wall_small": FlagKind("Little wall in common", WARNING, (FILE,)),
    "compared_scans_differ": FlagKind("Not known to be one scan", WARNING, (FILE,)),
    "methods_differ": FlagKind("Measured in different ways", WARNING, (FILE,)),
    "surfaces_differ": FlagKind("Unlike surfaces", WARNING, (FILE,)),
    "turned_far": FlagKind("Turned far to fit", WARNING, (FILE,)),
    # about a network's run
    "cavity_uncertain": FlagKind("Model unsure of the cavity", WARNING, (NETWORK,)),
    "cavity_uncertainty": FlagKind("How sure the model is of the cavity", NOTE, (NETWORK,)),
    "cavity_beyond_crop": FlagKind("The model looks at a part of the cavity", WARNING, (NETWORK,)),
    "crop_in_the_middle": FlagKind("The atrium was not found first", NOTE, (NETWORK,)),
    "device_changed": FlagKind("Ran on the processor instead", NOTE, (NETWORK,)),
    "smaller_tiles": FlagKind("Ran in smaller tiles", STOP, (NETWORK,)),
    # about a result
    "blood_pool_even": FlagKind("Blood without noise", WARNING, ("scan", "cavity")),
    "blood_pool_uneven": FlagKind("Uneven blood pool", WARNING, ("scan", "cavity")),
    "cavity_confirmed": FlagKind("Cavity confirmed by a person", NOTE, ("cavity",)),
    "cavity_has_holes": FlagKind("Holes in the cavity", WARNING, ("cavity",)),
    "cavity_in_pieces": FlagKind("Cavity in pieces", WARNING, ("cavity",)),
    "cavity_touches_border": FlagKind("Atrium cut off by the image border", WARNING, ("cavity",)),
    "cavity_shape_unusual": FlagKind("Not the shape of a left atrium", WARNING, ("cavity",)),
    "cavity_slice_forgotten": FlagKind("A slice of the cavity is empty", WARNING, ("cavity",)),
    "cavity_slices_empty": FlagKind("Cavity drawn on some slices only", STOP, ("cavity",)),
    "ct_like_values": FlagKind("Looks like CT", WARNING, ("scan",)),
    "dark_blood": FlagKind("Blood darker than the wall", STOP, ("scan", "cavity", "wall", "scar")),
    "field_of_view": FlagKind("Impossible field of view", WARNING, ("scan",)),
    "header_lost": FlagKind("Header looks lost", STOP, ("scan",)),
    "la_volume_unusual": FlagKind("Unusual LA volume", WARNING, ("cavity",)),
    "leak_through_mitral_plane": FlagKind("Cavity goes on beyond the mitral plane", WARNING, ("cavity", "planes")),
    "low_wall_contrast": FlagKind("Wall looks like blood", WARNING, ("scan", "cavity", "wall")),
    "mask_misplaced": FlagKind("Cavity fits better elsewhere", WARNING, ("scan", "cavity")),
    "mask_too_large": FlagKind("Cavity drawn too large", WARNING, ("scan", "cavity")),
    "negative_values": FlagKind("Negative grey levels", STOP, ("scan", "cavity", "scar")),
    "no_planes": FlagKind("No mitral or vein planes", NOTE, ("planes",)),
    "no_scar": FlagKind("No scar found", NOTE, ("scar",)),
    "not_lge_like": FlagKind("Doesn't look like LGE-MRI", WARNING, ("scan", "cavity")),
    "planes_contradict_sides": FlagKind("Left and right veins are swapped", WARNING, ("planes",)),
    "planes_cut_most": FlagKind("Planes cut off most of the atrium", WARNING, ("cavity", "planes")),
    "planes_found": FlagKind("Planes found by the program", NOTE, ("planes",)),
    "planes_in_one_opening": FlagKind("Two planes in one opening", WARNING, ("cavity", "planes")),
    "planes_system_assumed": FlagKind("Planes without a coordinate system", NOTE, ("planes",)),
    "planes_unsure": FlagKind("Veins and valve not found for sure", NOTE, ("planes",)),
    "prediction_beside_wall": FlagKind("The model's scar lies beside the wall", WARNING, ("cavity", "wall", "scar")),
    "range_incomplete": FlagKind("Perturbation range may be too narrow", WARNING, ("scan", "cavity", "wall")),
    "roof_and_floor": FlagKind("Slices average roof and floor", NOTE, ("scan", "cavity")),
    "saturated": FlagKind("Grey levels cut off at the top", STOP, ("scan", "cavity", "wall")),
    "scan_lies_otherwise": FlagKind("Scan lies otherwise than its header says", WARNING, ("scan", "cavity")),
    "scar_inside_cavity": FlagKind("Scar inside the cavity", WARNING, ("cavity", "scar")),
    "scar_older_than_cavity": FlagKind("Scar is older than the cavity", WARNING, ("cavity", "scar")),
    "scar_outside_wall": FlagKind("Scar outside the wall", WARNING, ("cavity", "wall", "scar")),
    "scar_share_implausible": FlagKind("More scar than any atrium has", WARNING, ("scan", "cavity", "scar")),
    "slices_blank": FlagKind("Blank slices in the scan", STOP, ("scan", "cavity")),
    "small_field_of_view": FlagKind("Small field of view", WARNING, ("scan",)),
    "surface_without_wall": FlagKind("Part of the surface was not measured", WARNING, ("cavity", "wall")),
    "thick_slices": FlagKind("Thick slices", WARNING, ("scan",)),
    "threshold_above_all": FlagKind("Threshold above every grey level", WARNING, ("scan", "cavity", "scar")),
    "threshold_near_blood": FlagKind("Threshold close to blood", NOTE, ("scan", "cavity", "scar")),
    "wall_brighter_than_blood": FlagKind("Wall brighter than blood", WARNING, ("scan", "cavity", "wall")),
    "wall_far_from_cavity": FlagKind("Wall far from the cavity", WARNING, ("cavity", "wall")),
    "wall_too_thick": FlagKind("Implausibly thick wall", WARNING, ("cavity", "wall")),
    "zero_is_not_no_signal": FlagKind("Zero is not “no signal”", STOP, ("scan", "cavity", "scar")),
}
"""Every flag by its code. Add one here, and raise it where it is noticed: every front end shows what it finds in a result."""


@dataclass(frozen=True)
class QualityFlag:
    """One remark about the input or the result.

    `code` is stable and machine-readable (`"cavity_touches_border"`), `message` is plain words with the value and the remedy,
    `severity` is `"stop"`, `"warning"` or `"note"`: that of its kind, unless this one is graver or lighter.
    """

    code: str
    message: str
    severity: str = ""

    def __post_init__(self) -> None:
        if not self.severity:
            object.__setattr__(self, "severity", FLAGS[self.code].severity)

    @property
    def title(self) -> str:
        """A few words; a flag of another version, which isn't known here, shows its code, readably."""
        return FLAGS[self.code].title if self.code in FLAGS else self.code.replace("_", " ").capitalize()

    @property
    def heading(self) -> str:
        """"Stop", "Warning" or "Note"."""
        return HEADINGS.get(self.severity, self.severity.capitalize())

    def to_json(self) -> dict[str, str]:
        return asdict(self)

    @property
    def line(self) -> str:
        """"Warning: The slices are 8 mm apart." """
        return f"{self.heading}: {self.message}"


def gravest_first(flags: Iterable[QualityFlag]) -> list[QualityFlag]:
    """In the order in which people read them; of equal weight as they came."""
    return sorted(flags, key=lambda flag: BY_SEVERITY.index(flag.severity) if flag.severity in BY_SEVERITY else len(BY_SEVERITY))


def require_no_stop(flags: Iterable[QualityFlag], despite: Iterable[str]) -> None:
    """`Stopped` for every stop that nobody has said to go on despite."""
    stops = [flag for flag in flags if flag.severity == STOP and flag.code not in despite]
    if stops:
        raise Stopped("\n".join(flag.line for flag in stops), tuple(dict.fromkeys(flag.code for flag in stops)))


def simulated_model(name: str) -> QualityFlag:
    """The warning that goes with every result of a model that was trained on simulated scans."""
    return QualityFlag("simulated", f"The model {name} was trained on simulated scans: its result says nothing about a patient.")
