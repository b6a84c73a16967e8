"""Draws the tutorial's pictures and the sample's thumbnail: Slicer's own views (slicer-core, trame-slicer) on the sample.

    python Docs/images/draw_tutorial.py     writes Docs/images/tutorial_*.jpg and Resources/Icons/LAScarSegPhantom.png
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from trame_slicer.core import SlicerApp
from trame_slicer.views import DirectViewFactory, ViewLayoutDefinition
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

from LAScarSegLib.analysis import analyse
from LAScarSegLib.datasets.sample_data import CAVITY_SEGMENT, THUMBNAIL, sample
from LAScarSegLib.scene import build_scene, segment_from_node, show, volume_from_node
from LAScarSegLib.scene.inputs import load_sample
from LAScarSegLib.surface.planes import read_planes

ROOT = Path(__file__).resolve().parents[2]
VIEW_PX = 420
GAP_PX = 4
THUMBNAIL_PX = (260, 280)
"""What Slicer's module template suggests for sample data."""
JPEG_QUALITY = 88


class Views:
    """Slicer's conventional layout without a window: axial, coronal, sagittal, 3-D."""

    def __init__(self) -> None:
        self.app = SlicerApp()
        self.app.view_manager.register_factory(DirectViewFactory(True))
        kinds: tuple[Callable[[], Any], ...] = (
            ViewLayoutDefinition.axial_view, ViewLayoutDefinition.coronal_view, ViewLayoutDefinition.sagittal_view,
            lambda: ViewLayoutDefinition.threed_view(name="1", background_color=("#c1c3e8", "#7478be")),
        )  # fmt: skip
        self.red, self.green, self.yellow, self.three_d = (self.app.view_manager.create_view(kind()) for kind in kinds)
        for view in (self.red, self.green, self.yellow, self.three_d):
            view.render_window().SetSize(VIEW_PX, VIEW_PX)
            view.interactor().UpdateSize(VIEW_PX, VIEW_PX)
        for view in (self.red, self.green, self.yellow):
            view.fit_view_to_content()  # takes the window's size over into the slice node

    def slices(self) -> Image.Image:
        """The three slice views side by side."""
        return tiled([[self.red, self.green, self.yellow]])

    def four_up(self) -> Image.Image:
        """The four views as Slicer arranges them, 3-D above right."""
        return tiled([[self.red, self.three_d], [self.green, self.yellow]])


def tiled(rows: list[list[Any]]) -> Image.Image:
    step = VIEW_PX + GAP_PX
    picture = Image.new("RGB", (len(rows[0]) * step - GAP_PX, len(rows) * step - GAP_PX), "white")
    for row, views in enumerate(rows):
        for column, view in enumerate(views):
            picture.paste(grab(view), (column * step, row * step))
    return picture


def grab(view: Any) -> Image.Image:
    view.render()
    shot = vtkWindowToImageFilter()
    shot.SetInput(view.render_window())
    shot.ReadFrontBufferOff()
    shot.Update()
    image = shot.GetOutput()
    width, height, _ = image.GetDimensions()
    return Image.fromarray(np.ascontiguousarray(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1]))


def main() -> None:
    views = Views()
    scene = views.app.scene
    volume_node, segmentation, plane_nodes = load_sample(scene)
    volume = volume_from_node(volume_node)
    planes = [plane for file in sample().planes for plane in read_planes(file.path)]
    analysis = analyse(volume, cavity=segment_from_node(segmentation, CAVITY_SEGMENT, volume), planes=planes)
    nodes = build_scene(scene, analysis, volume_node=volume_node)
    show(scene, nodes, analysis)
    shown = (nodes.segmentation, nodes.surface, nodes.left_out)
    set_visible(shown, False)
    set_visible(plane_nodes, False)
    save(views.slices(), "tutorial_sample")
    set_visible(shown, True)
    set_visible((segmentation,), False)
    save(views.four_up(), "tutorial_result")
    thumbnail(views).save(ROOT / "Resources" / THUMBNAIL, optimize=True)


def set_visible(nodes: Iterable[Any], visible: bool) -> None:
    for node in nodes:
        node.GetDisplayNode().SetVisibility(visible)


def thumbnail(views: Views) -> Image.Image:
    """The scar map above the slice it comes from."""
    width, height = THUMBNAIL_PX
    picture = Image.new("RGB", THUMBNAIL_PX, "black")
    cut = VIEW_PX * height // 2 // width
    for row, view in enumerate((views.three_d, views.red)):
        part = grab(view).crop((0, (VIEW_PX - cut) // 2, VIEW_PX, (VIEW_PX + cut) // 2))
        picture.paste(part.resize((width, height // 2), Image.Resampling.LANCZOS), (0, row * height // 2))
    return picture


def save(picture: Image.Image, name: str) -> None:
    picture.save(ROOT / "Docs" / "images" / f"{name}.jpg", quality=JPEG_QUALITY, optimize=True)


if __name__ == "__main__":
    main()
