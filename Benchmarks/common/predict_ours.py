"""Our side of `inference.py`: BUNDLE SCAN MASK [--whole-scan]. The mask is every voxel above the threshold, as nnU-Net's is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.children import announce  # noqa: E402


def main(bundle: str, scan: str, mask: str, *flags: str) -> None:
    import LAScarSegLib.networks.plain_conv_unet  # noqa: F401  torch belongs to the start
    from LAScarSegLib.inference.bundle_models import BundleCavityModel
    from LAScarSegLib.inference.options import InferenceOptions
    from LAScarSegLib.models.bundle import read_bundle
    from LAScarSegLib.support.progress import Progress
    from LAScarSegLib.volumes.files import read_volume

    options = InferenceOptions(device="cpu", region_first="--whole-scan" not in flags)
    announce("ready")
    # A network reports before every tile.
    progress = Progress(lambda event: announce("tile"))
    model = BundleCavityModel.from_bundle(read_bundle(bundle), options, progress)
    found = model.predict(read_volume(scan)).array > model.card.threshold
    announce("done")
    np.save(mask, found.astype(np.uint8))


if __name__ == "__main__":
    main(*sys.argv[1:])
