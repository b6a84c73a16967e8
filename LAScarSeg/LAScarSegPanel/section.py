"""What every section of the panel can be told."""

import logging
import traceback
from contextlib import contextmanager

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import as_lascarseg_error


class Section:
    """One section: `widget` is the LAScarSegWidget, whose `ui`, `parameterNode` and `session` it uses."""

    def __init__(self, widget) -> None:
        self.widget = widget
        self.ui = widget.ui
        self._filling = False
        self.setup()

    def setup(self) -> None:
        """Connect the section's buttons."""

    @contextmanager
    def filling(self):
        """While code sets widgets what they signal is nobody's choice: `_filling` is True."""
        was, self._filling = self._filling, True
        try:
            yield
        finally:
            self._filling = was

    def parametersChanged(self) -> None:
        """The parameter node changed, by the user or by a scene that was loaded."""

    def resultChanged(self) -> None:
        """There is another result, or none."""

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown."""

    def sceneCloses(self) -> None:
        """The scene is about to lose its nodes; the result is gone already."""

    def cleanup(self) -> None:
        """The widget is about to be destroyed."""


def say(label, text: str) -> None:
    """Show a text; an empty label takes no room."""
    if label.text != text:  # a timer says the same again and again
        label.text = text
    label.setVisible(bool(text))


def makeTimer(milliseconds: int, function) -> qt.QTimer:
    """A timer, not yet running."""
    timer = qt.QTimer()
    timer.setInterval(milliseconds)
    timer.connect("timeout()", function)
    return timer


def attempt(what: str, function, *arguments):
    """Call `function`; when it fails, show why, with the traceback under "details". Returns (worked, its result).

    Unlike slicer.util.tryWithErrorDisplay the error ends here: nothing that called this needs to know more.
    """
    try:
        return True, function(*arguments)
    except Exception as error:
        details = traceback.format_exc()
        logging.error(details)
        message = _("{what}\n\n{why}").format(what=what, why=as_lascarseg_error(error))
        slicer.util.errorDisplay(message, detailedText=details)
        return False, None
