"""The panel with a network's cavity that is not to be used: said first, drawn as a shape alone, and one click from its numbers."""

from __future__ import annotations

from panel_cases import dialogs, panel, ready, scene  # noqa: F401
from test_doubtful_cavity import BAD, IMAGE, QUICK, REASON, found

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import analyse
from LAScarSegLib.session.edit_session import EditSession


def test_a_cavity_that_is_not_to_be_used_is_confirmed_by_a_click(ready, scene):  # noqa: F811
    ui, volume = ready.ui, ready.parameterNode.inputVolume
    assert not ui.confirmCavityButton.isVisibleTo(ui.confirmCavityButton.parentWidget())
    analysis = analyse(IMAGE, QUICK, cavity=found(BAD))
    ready.setResult(EditSession(scene, mrml.build_scene(scene, analysis, volume_node=volume), analysis))
    assert ui.confirmCavityButton.isVisibleTo(ui.confirmCavityButton.parentWidget())
    assert "not to be used" in ui.headlineLabel.text and "Scar on" not in ui.headlineLabel.text
    assert ui.flagsLabel.text.startswith("<p><b>Do not use") and REASON in ui.flagsLabel.text

    ui.confirmCavityButton.click()
    assert not ui.confirmCavityButton.isVisibleTo(ui.confirmCavityButton.parentWidget())
    assert "Scar on" in ui.headlineLabel.text and "confirmed" in ui.flagsLabel.text
    assert ready.session.analysis.sources.cavity_confirmed
