"""What a bundle says about itself: the content of `model.json`, typed and validated. Docs/models.md explains every key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..networks import Plan, read_plan
from ..networks.architectures import in_scan, spacing_in_scan
from ..networks.plan import Triple
from ..support.printable import printable
from .doubt_calibration import DoubtCalibration

FORMAT = 2
"""The newest version of `model.json`; a reader refuses newer ones. 1 says all of a network of one mask and is still written for it."""
STAGES = ("cavity", "scar")
ROLES = (("cavity",), ("scar",), ("cavity", "scar"))
"""What the network of a bundle may answer for."""
REGION = "region"
"""Role of the network that finds the atrium first."""
RESAMPLINGS = ("linear", "nnunet")
"""`linear`: trilinear both ways; `nnunet`: nnU-Net v2's default (cubic there, linear back, slices apart when they are thick)."""
STATISTICS = ("image", "region", "nonzero_box", "nonzero", "slice")
"""What the z-score's mean and SD are taken over: the whole image, the region that the network sees (the box around the atrium; the
whole image where there is none), the box of its non-zero voxels, or these voxels alone; or each slice by itself."""
ORIENTATIONS = ("lps", "stored")
"""`lps`: axes are permuted and flipped towards LPS before the network sees them; `stored`: as in the file, as in nnU-Net."""
ENSEMBLES = ("probability", "logits")
"""Folds are averaged as probabilities, or as logits, as in nnU-Net."""
NORMALISATIONS = ("zscore", "none")
CROPS = ("middle", "atrium")
"""What a crop lies around (`systems.Preset.crop_around`)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(r"\s*\S.*", re.DOTALL)
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_KEYS = (
    "format", "name", "version", "system", "stage", "variant", "threshold", "training", "scores", "intended_use", "licence", "terms",
    "simulated", "inputs", "preprocessing", "coarse", "fine", "files", "doubt",
)  # fmt: skip
"""Of `model.json`, in its order."""
_KEYS_2 = (
    "format", "name", "version", "system", "variant", "thresholds", "training", "scores", "intended_use", "licence", "terms",
    "simulated", "inputs", "preprocessing", "networks", "learned", "files", "doubt",
)  # fmt: skip
"""Of one of format 2."""
_LEFT_OUT = ("doubt",)
"""Keys that are not written where there is nothing to say: a card from before them keeps its SHA-256."""
LARGEST_PATCH = 1024
LARGEST_CROP = 4096
"""More voxels than any scan has along an axis."""
LARGEST_ACTIVATIONS = 1 << 29
"""2 GiB in 32 bits, of which a pass needs a few: nnU-Net's largest preset (ResEnc XL, 192³ voxels, 32 channels) has half."""
SMALLEST_WEIGHT_BYTES = 2
"""A weight in 16 bits."""
SMALLEST_SPACING_MM = 0.2
"""Finer than any MRI of the heart: a scan resampled to less would fill the memory."""
LARGEST_SPACING_MM = 20.0
"""Thicker than any slice of a heart scan: a spacing beyond it is a mistake."""


@dataclass(frozen=True)
class Channel:
    """One input channel: its `name` as in the system's description (`lge`, `sdm_cavity`, ...), how it is normalised, and the value
    that lies beyond the image (−1 for a normalised distance map: 0 would mean "on the boundary")."""

    name: str
    normalisation: str = "none"
    padding: float = 0.0

    def __post_init__(self) -> None:
        _require(_matches(_NAME, self.name), "inputs.name", self.name, "a short lower-case name")
        _require_in("inputs.normalisation", self.normalisation, NORMALISATIONS)
        _require(_is_number(self.padding), "inputs.padding", self.padding, "a number")


@dataclass(frozen=True)
class NetworkSpec:
    """One network with its grid: `spacing_mm` and `patch` in the order (k, j, i); `weights` one file for each fold.

    Two numbers (j, i) each: a network of slices, which it takes as the scan has them.
    """

    plan: Plan
    spacing_mm: tuple[float, ...]
    patch: tuple[int, ...]
    weights: tuple[str, ...]

    def __post_init__(self) -> None:
        fits = len(self.spacing_mm) in (2, 3) and all(_is_number(s) and SMALLEST_SPACING_MM <= s <= LARGEST_SPACING_MM for s in self.spacing_mm)
        _require(fits, "spacing_mm", self.spacing_mm, f"three numbers from {SMALLEST_SPACING_MM:g} to {LARGEST_SPACING_MM:g} mm, or two for slices")
        whole = len(self.patch) == len(self.spacing_mm) and all(type(n) is int and 0 < n <= LARGEST_PATCH for n in self.patch)
        _require(whole, "patch", self.patch, f"as many whole numbers from 1 to {LARGEST_PATCH} as the spacing has")
        if any(n % step for n, step in zip(self.patch_kji, self.plan.divisor)):
            raise InputError(f"model.json: the patch {self.patch} is not a multiple of the network's strides {self.plan.divisor}.")
        if (needed := self.plan.activations(self.patch_kji)) > LARGEST_ACTIVATIONS:
            raise InputError(
                f"model.json: the patch {self.patch} needs {needed * 4 / 2**30:.0f} GiB and more at once in this network; a network here may "
                f"need {LARGEST_ACTIVATIONS * 4 / 2**30:.0f}. Train it on smaller patches."
            )
        names = bool(self.weights) and all(isinstance(w, str) and w.endswith(".safetensors") for w in self.weights)
        _require(names, "weights", self.weights, "one or more names of .safetensors files")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkSpec:
        values = _fields(cls, data, "network")
        return cls(read_plan(values["plan"]), tuple(values["spacing_mm"]), tuple(values["patch"]), tuple(values["weights"]))

    @property
    def patch_kji(self) -> Triple:
        """The patch in the scan's three axes."""
        return in_scan(self.patch)

    def spacing_in(self, scan_kji: Sequence[float]) -> tuple[float, float, float]:
        """The spacing in mm in the scan's three axes, of a scan with this one."""
        return spacing_in_scan(self.spacing_mm, tuple(scan_kji))


@dataclass(frozen=True)
class Preprocessing:
    """How a scan becomes the network's input and its output a probability on the scan's grid."""

    resampling: str = "linear"
    statistics: str = "image"
    orientation: str = "lps"
    axes: tuple[int, int, int] = (0, 1, 2)
    """The network's axes, as axes of the oriented array: nnU-Net's `transpose_forward`."""
    ensemble: str = "probability"
    mirror_axes: tuple[int, ...] = (0, 1, 2)
    """The axes along which the network was trained with mirroring, so that it may be asked for."""
    crop: tuple[int, int, int] | None = None
    """Format 2: what it sees of a scan, as voxels of its own spacing; None: the region that is found, or all."""
    crop_around: str = "middle"
    """Format 2: the scan's `middle`, or the `atrium` that the coarse network finds, or that the network is told."""

    def __post_init__(self) -> None:
        choices = {
            "resampling": RESAMPLINGS, "statistics": STATISTICS, "orientation": ORIENTATIONS, "ensemble": ENSEMBLES, "crop_around": CROPS,
        }  # fmt: skip
        for key, known in choices.items():
            _require_in(f"preprocessing.{key}", getattr(self, key), known)
        _require(sorted(self.axes) == [0, 1, 2], "preprocessing.axes", self.axes, "0, 1 and 2 in some order")
        _require(set(self.mirror_axes) <= {0, 1, 2}, "preprocessing.mirror_axes", self.mirror_axes, "some of 0, 1 and 2")
        fits = self.crop is None or (len(self.crop) == 3 and all(type(n) is int and 0 < n <= LARGEST_CROP for n in self.crop))
        _require(fits, "preprocessing.crop", self.crop, f"null or three whole numbers from 1 to {LARGEST_CROP}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        values = _fields(cls, data, "preprocessing")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle: its SHA-256 and length."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        _require(_matches(_DIGEST, self.sha256), "files.sha256", self.sha256, "64 hexadecimal digits")
        _require(type(self.bytes) is int and self.bytes >= 0, "files.bytes", self.bytes, "a whole number")


@dataclass(frozen=True)
class ModelCard:
    """Everything a bundle declares. `fine` is the network that segments; `coarse`, where there is one, finds the LA first.

    Raises
    ------
    InputError
        from the constructor and from `from_json`, naming the key and what it must be.
    """

    name: str
    version: str
    system: str
    """Key of the published system in `systems.SYSTEMS`."""
    stage: str
    fine: NetworkSpec
    channels: tuple[Channel, ...]
    intended_use: str
    licence: str
    coarse: NetworkSpec | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    threshold: float = 0.5
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on and how: `data`, `cases`, `date`, ..."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Measured scores, with the data they were measured on."""
    terms: str | None = None
    """Text the user must accept once before first use."""
    variant: str = "full"
    """Which of the stage's variants: the paper's own, or one of its ablations."""
    simulated: bool = False
    """Trained on simulated scans: for tests and demonstrations only."""
    files: dict[str, FileEntry] = field(default_factory=dict)
    """Every file of the bundle but `model.json`; `write_bundle` fills it in."""
    format: int = 1
    roles: tuple[str, ...] = ()
    """Format 2: what the network answers for, `cavity` before `scar`; format 1 has one of `STAGES` as its stage instead."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Format 2: the threshold of each role; `threshold` is the first one's."""
    learned: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Format 2: by weight file, what the network's inputs were learned to be from its training cases; most systems have none."""
    doubt: DoubtCalibration | None = None
    """How far a cavity that it finds can be trusted, told from what can be measured without the true one."""

    def __post_init__(self) -> None:
        for key, fits, wanted in (
            ("name", _matches(_NAME, self.name), "lower-case letters, digits, '-' and '_'"),
            ("version", _matches(_VERSION, self.version), "numbers with dots, such as 1.0.2"),
            ("system", isinstance(self.system, str) and self.system != "", "the key of a system"),
            ("format", self.format in (1, 2), "1 or 2"),
            ("stage", self.stage in STAGES or (self.format > 1 and _matches(_NAME, self.stage)), f"one of {', '.join(STAGES)}"),
            ("roles", self.roles in ROLES if self.format > 1 else not self.roles, "cavity, scar, or cavity and scar"),
            ("learned", self._fitting_learned(), "an object of objects, by names of the network's weight files"),
            ("thresholds", self._fitting_thresholds(), "a number between 0 and 1 for each role"),
            ("threshold", _is_number(self.threshold) and 0 < self.threshold < 1, "a number between 0 and 1"),
            ("simulated", isinstance(self.simulated, bool), "true or false"),
            ("variant", isinstance(self.variant, str) and self.variant != "", "a variant of the stage"),
            ("intended_use", _matches(_TEXT, self.intended_use), "a text that is not empty"),
            ("licence", _matches(_TEXT, self.licence), "a text that is not empty"),
            ("terms", self.terms is None or _matches(_TEXT, self.terms), "a text or null"),
            ("training", isinstance(self.training, dict), "an object"),
            ("scores", isinstance(self.scores, dict), "an object"),
            ("doubt", self.doubt is None or "cavity" in self.finds, "left out for this stage"),
        ):
            _require(fits, key, getattr(self, key), wanted)
        self._check_networks()

    def _check_networks(self) -> None:
        names = [channel.name for channel in self.channels]
        _require(names[:1] == ["lge"], "inputs", names, "a list that starts with lge")
        _require(self.channels[0].normalisation == "zscore", "inputs.normalisation of lge", self.channels[0].normalisation, "zscore")
        if self.fine.plan.in_channels != len(self.channels):
            raise InputError(f"model.json: the network takes {self.fine.plan.in_channels} channels, {len(self.channels)} are declared.")
        if self.coarse is not None and self.coarse.plan.in_channels != 1:
            raise InputError(f"model.json: the coarse network takes {self.coarse.plan.in_channels} channels; it must take the scan alone.")
        if self.coarse is not None and len(self.coarse.patch) != 3:
            raise InputError(f"model.json: the patch of the network that finds the region is {self.coarse.patch}; it must have three numbers.")
        if self.format == 1 and self.preprocessing.crop is not None:
            raise InputError("model.json: format 1 has no preprocessing.crop. Get the bundle again.")
        if self.format == 1 and len(self.fine.patch) != 3:
            raise InputError(f"model.json: the patch is {self.fine.patch}; in format 1 it must have three numbers.")
        for spec in filter(None, (self.fine if self.format == 1 else None, self.coarse)):
            if spec.plan.out_channels != 2:
                raise InputError(f"model.json: the network has {spec.plan.out_channels} outputs; background and foreground are needed.")
        for name in self.files:
            check_file_name(name)
        used = {*(self.coarse.weights if self.coarse else ()), *self.fine.weights}
        if self.files and (unlisted := sorted(used - set(self.files))):
            raise InputError(f"model.json: {', '.join(unlisted)} is used but not listed with its SHA-256.")
        self._check_weights()

    def _check_weights(self) -> None:
        """A plan can claim billions of weights; the files that it comes with can't hold more than they are long."""
        for spec in filter(None, (self.fine, self.coarse)):
            needed = spec.plan.parameters * SMALLEST_WEIGHT_BYTES
            for name in spec.weights:
                if self.files and self.files[name].bytes < needed:
                    raise InputError(
                        f"model.json: the network has {spec.plan.parameters:,} weights, {needed / 2**20:.1f} MiB at least, and {name} has "
                        f"{self.files[name].bytes / 2**20:.1f} MiB. Get the bundle again."
                    )

    def _fitting_thresholds(self) -> bool:
        if not isinstance(self.thresholds, dict):
            return False
        fitting = all(_is_number(value) and 0 < value < 1 for value in self.thresholds.values())
        return fitting and tuple(self.thresholds) == self.roles and (not self.roles or self.thresholds[self.roles[0]] == self.threshold)

    def _fitting_learned(self) -> bool:
        if not isinstance(self.learned, dict) or (self.format == 1 and self.learned):
            return False
        return set(self.learned) <= set(self.fine.weights) and all(isinstance(values, dict) for values in self.learned.values())

    @property
    def finds(self) -> tuple[str, ...]:
        """The masks that it answers for: `cavity`, `scar`, or both."""
        return self.roles or (self.stage,)

    def threshold_of(self, role: str) -> float:
        """The probability above which a voxel belongs to one of the masks that it `finds`."""
        return self.thresholds.get(role, self.threshold)

    @property
    def sha256(self) -> str:
        """The bundle's hash: over everything `model.json` says, the hashes of the other files among it."""
        canonical = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @property
    def reference(self) -> str:
        """`NAME@VERSION`, as the store finds it."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The content of `model.json`."""
        return self._content() | {"sha256": self.sha256}

    def _content(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        if self.preprocessing.crop is None:
            # As for the keys that are left out.
            del values["preprocessing"]["crop"]
        if self.preprocessing.crop_around == "middle":
            del values["preprocessing"]["crop_around"]
        values |= {"inputs": values["channels"], "files": dict(sorted(values["files"].items()))}
        if self.format > 1:
            values["networks"] = {self.stage: {"roles": list(self.roles)} | values["fine"]}
            if values["coarse"]:
                values["networks"][REGION] = {"roles": [REGION]} | values["coarse"]
        keys = _KEYS if self.format == 1 else _KEYS_2
        return {key: values[key] for key in keys if key not in _LEFT_OUT or values[key] is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelCard:
        """From the content of a `model.json`; checks its format, every value and its own hash."""
        values = dict(data)
        version = values.pop("format", None)
        if type(version) is not int or version < 1:
            raise InputError("model.json has no format number: this is not a LAScarSeg model bundle.")
        if version > FORMAT:
            raise InputError(f"The bundle has format {version}, this program reads up to {FORMAT}. Update LAScarSeg to use it.")
        digest = values.pop("sha256", None)
        _check_keys(values, _KEYS if version == 1 else _KEYS_2)
        values["format"] = version
        try:
            if version > 1:
                values |= _one_network(values.pop("networks"), values["thresholds"])
                values["threshold"] = values["thresholds"].get(values["roles"][0])
            values["channels"] = tuple(Channel(**_fields(Channel, entry, "input")) for entry in values.pop("inputs"))
            values["preprocessing"] = Preprocessing.from_json(values.get("preprocessing", {}))
            if version == 1:
                values["fine"] = NetworkSpec.from_json(values["fine"])
                values["coarse"] = NetworkSpec.from_json(values["coarse"]) if values.get("coarse") else None
            values["doubt"] = None if values.get("doubt") is None else DoubtCalibration.from_json(values["doubt"])
            values["files"] = {name: FileEntry(**_fields(FileEntry, entry, "file")) for name, entry in values["files"].items()}
            card = cls(**_fields(cls, values, "model.json"))
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(f"model.json can't be used: {type(error).__name__}: {printable(error)}. Get the bundle again.") from error
        if not card.files:
            raise InputError("model.json lists no files, so nothing in the bundle can be checked. Get the bundle again.")
        if digest != card.sha256:
            raise InputError(
                f"model.json of {card.name} was changed after the bundle was made (its SHA-256 does not fit). Get the bundle again."
            )
        return card


def check_file_name(name: object) -> None:
    """`InputError` naming it unless a bundle may hold a file of this name: no folder, nothing hidden, no code."""
    if not _matches(_FILE_NAME, name):
        raise InputError(f"The bundle has a file named {name!r}: only plain names without folders are allowed. It is refused.")
    if not name.endswith((".safetensors", ".json", ".md", ".txt")):
        raise InputError(
            f"The bundle holds {name}: only .safetensors, .json, .md and .txt are allowed, since other files can hold code. It is refused."
        )


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"model.json can't be used (model.json): unknown key {', '.join(unknown)}.")


def _one_network(networks: Mapping[str, Any], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """What `networks` of format 2 is to a card: one network that answers for masks, and perhaps one that finds the region."""
    found, region = [], []
    for name, entry in networks.items():
        _require(isinstance(entry, Mapping) and isinstance(entry.get("roles"), list), f"networks.{name}", entry, "an object with roles")
        roles, spec = tuple(entry["roles"]), NetworkSpec.from_json({key: value for key, value in entry.items() if key != "roles"})
        _require(roles in (*ROLES, (REGION,)), f"networks.{name}.roles", entry["roles"], "[cavity], [scar], [cavity, scar] or [region]")
        (region if roles == (REGION,) else found).append((name, roles, spec))
    if len(found) != 1 or len(region) > 1:
        names = ", ".join(networks) or "none"
        raise InputError(
            f"model.json has the networks {names}: one that answers for cavity, scar or both is needed, and at most one for the region. Make "
            "a bundle of each network."
        )
    ((name, roles, spec),) = found
    ordered = {role: thresholds[role] for role in roles if role in thresholds} | {key: value for key, value in thresholds.items() if key not in roles}
    return {"stage": name, "roles": roles, "fine": spec, "coarse": region[0][2] if region else None, "thresholds": ordered}


def _fields(cls: type, data: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"model.json: the {where} entry is {data!r}; it must be an object.")
    fields = dataclasses.fields(cls)
    unknown = sorted(set(data) - {f.name for f in fields})
    needed = {f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING}
    missing = sorted(needed - set(data))
    if unknown or missing:
        words = [f"{word} {', '.join(names)}" for word, names in (("unknown key", unknown), ("missing key", missing)) if names]
        raise InputError(f"model.json can't be used ({where}): {'; '.join(words)}.")
    return dict(data)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _require(fits: bool, key: str, value: object, wanted: str) -> None:
    if not fits:
        raise InputError(f"model.json: {key} is {value!r}; it must be {wanted}.")


def _require_in(key: str, value: object, choices: tuple[str, ...]) -> None:
    _require(value in choices, key, value, f"one of {', '.join(choices)}")
