"""nnU-Net's side of `inference.py`, in nnU-Net's own environment: RESULTS SCAN MASK.

Everything in one process, as lean as nnU-Net goes: its default, `predict_from_files`, starts processes for reading and writing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.children import announce  # noqa: E402


def main(results: str, scan: str, mask: str) -> None:
    import torch
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    # Looks through all of nnU-Net's trainers for the one that is named: counted as start, not as inference.
    predictor.initialize_from_trained_model_folder(results, (0,))
    announce("ready")
    image, properties = SimpleITKIO().read_images([scan])
    found = predictor.predict_single_npy_array(image, properties)
    announce("done")
    np.save(mask, np.asarray(found, dtype=np.uint8))


if __name__ == "__main__":
    main(*sys.argv[1:])
