"""nnU-Net's side of `inference.py` and `nnunet_import.py`, in nnU-Net's own environment: RESULTS SCAN MASK, and

    --probability  the foreground's probability instead of the mask
    --mirror       average over mirrored tiles
    --checkpoint=NAME  other than checkpoint_final.pth
    --float32      add tiles up in float32; nnU-Net does it in half precision

Everything in one process, as lean as nnU-Net goes: its default, `predict_from_files`, starts processes for reading and writing.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.children import announce  # noqa: E402


def main(results: str, scan: str, mask: str, *flags: str) -> None:
    import torch
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference import predict_from_raw_data

    if "--float32" in flags:
        torch.half = torch.float32
        predict_from_raw_data.compute_gaussian = functools.partial(predict_from_raw_data.compute_gaussian, dtype=torch.float32)
    predictor = predict_from_raw_data.nnUNetPredictor(use_mirroring="--mirror" in flags, device=torch.device("cpu"), allow_tqdm=False)
    # Looks through all of nnU-Net's trainers for the one that is named: counted as start, not as inference.
    named = [flag.removeprefix("--checkpoint=") for flag in flags if flag.startswith("--checkpoint=")]
    predictor.initialize_from_trained_model_folder(results, (0,), *named)
    announce("ready")
    image, properties = SimpleITKIO().read_images([scan])
    if "--probability" in flags:
        np.save(mask, predictor.predict_single_npy_array(image, properties, save_or_return_probabilities=True)[1][1])
        return
    found = predictor.predict_single_npy_array(image, properties)
    announce("done")
    np.save(mask, np.asarray(found, dtype=np.uint8))


if __name__ == "__main__":
    main(*sys.argv[1:])
