"""The stand-ins against what they stand for: ctkSliderWidget as measured in CTK.

The slider's expectations were read off CTK's own widget (July 2026, Qt 5.15) under the same strokes.
"""

from __future__ import annotations

import panel_cases  # noqa: F401 (first: it skips all of this where slicer-core or Qt is absent)
import pytest

# isort: split
from pythonqt_stand_in import CLASSES, application


@pytest.fixture
def slider():
    """Without tracking, 0…2.4 in steps of 0.01, at 1.2; `heard` is what it told since."""
    application()
    slider = CLASSES["ctkSliderWidget"]()
    slider.decimals, slider.singleStep, slider.maximum, slider.value, slider.tracking = 2, 0.01, 2.4, 1.2, False
    slider.heard = []
    slider.valueIsChanging.connect(lambda value: slider.heard.append(("moves", round(value, 9), round(slider.value, 9))))
    slider.valueChanged.connect(lambda value: slider.heard.append(("set", round(value, 9), round(slider.value, 9))))
    return slider


def both(value: float) -> list[tuple[str, float, float]]:
    return [("moves", value, value), ("set", value, value)]


def test_a_held_handle_tells_that_it_moves_and_keeps_the_value_until_it_is_let_go(slider) -> None:
    slider.drag(1.3, 1.31)
    assert slider.heard == [("moves", 1.3, 1.2), ("moves", 1.31, 1.2)] and slider.value == 1.2
    slider.release()
    assert slider.heard[2:] == [("set", 1.31, 1.31)]


def test_a_handle_put_back_where_it_was_sets_nothing(slider) -> None:
    slider.drag(1.3, 1.2)
    slider.release()
    assert slider.heard == [("moves", 1.3, 1.2), ("moves", 1.2, 1.2)]


def test_with_tracking_every_place_is_set_and_the_release_tells_nothing(slider) -> None:
    slider.tracking = True
    slider.drag(1.3, 1.31)
    slider.release()
    assert slider.heard == [("set", 1.3, 1.3), ("set", 1.31, 1.31)]


def test_code_that_sets_a_value_is_told_like_a_user_and_the_same_value_is_not(slider) -> None:
    slider.value = 1.5
    slider.value = 1.5
    assert slider.heard == both(1.5)


def test_code_that_sets_what_a_held_handle_shows_tells_nothing_and_another_value_is_set_at_once(slider) -> None:
    slider.drag(1.3)
    slider.value = 1.3
    assert slider.heard == [("moves", 1.3, 1.2)]
    slider.value = 1.4
    assert slider.heard[1:] == both(1.4) and slider.value == 1.2
    slider.release()
    assert slider.heard[3:] == [("set", 1.4, 1.4)]


def test_every_letter_in_the_box_moves_and_sets(slider) -> None:
    slider.type("1.35")
    assert slider.heard == both(1.0) + both(1.3) + both(1.35)


def test_a_range_without_the_value_sets_its_end(slider) -> None:
    slider.maximum = 1.0
    assert slider.heard == both(1.0) and (slider.minimum, slider.maximum) == (0.0, 1.0)


def test_the_handle_goes_in_steps_from_where_it_is_and_the_box_alone_rounds(slider) -> None:
    slider.value = 1.234
    slider.drag(1.25)
    slider.release()
    assert slider.value == pytest.approx(1.254) and slider._box.text() == "1.25"


@pytest.mark.parametrize(("page", "value"), [(None, 2.4), (0.1, 1.3)])
def test_a_page_is_ten_unless_it_is_set(slider, page, value) -> None:
    if page:
        slider.pageStep = page
    slider._slider.triggerAction(slider._slider.SliderAction.SliderPageStepAdd)
    assert slider.heard == both(value)
