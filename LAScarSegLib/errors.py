"""The one exception family: every message says what is wrong, with the value, and what to do."""


class LAScarSegError(Exception):
    """Anything LAScarSeg raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(LAScarSegError):
    """The user's input can't be used: a file, a mask, a setting."""

    exit_code = 2


class AtriumNotFound(InputError):
    """A network saw no left atrium in the scan."""


class NothingToLookAt(InputError):
    """A cavity around which a scar network has nothing to look at: empty, or without an outline at its spacing."""


class Stopped(InputError):
    """Something about the input would make the numbers wrong; whoever knows better goes on despite its `codes` (`Settings.despite`)."""

    def __init__(self, message: str, codes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.codes = codes


class ProcessingError(LAScarSegError):
    """The input was fine, the work failed: no disk space, no memory, a missing library."""


class Cancelled(LAScarSegError):
    """The user stopped the work; nothing was left behind."""

    exit_code = 130

    def __init__(self, message: str = "Cancelled; nothing was written.") -> None:
        super().__init__(message)


MEMORY_SIGNS = (
    "MemoryError", "std::bad_alloc", "Unable to allocate", "can't allocate memory", "Cannot allocate memory", "out of memory",
    "Failed to allocate", "can't start new thread",
)  # fmt: skip
"""How Python, NumPy, the C++ library, ITK, torch and the system say that memory ran out."""


def is_about_memory(text: str) -> bool:
    """Whether an error's words mean that memory ran out."""
    return any(sign in text for sign in MEMORY_SIGNS)


def as_lascarseg_error(error: BaseException) -> LAScarSegError:
    """`error` itself when it is one of ours, else one of ours that says in one line what happened and what to do."""
    if isinstance(error, LAScarSegError):
        return error
    if isinstance(error, (KeyboardInterrupt, BrokenPipeError)):
        # A broken pipe: whoever read the progress is gone.
        return Cancelled()
    if isinstance(error, MemoryError) or is_about_memory(str(error)):
        return ProcessingError("There was not enough memory. Close other programs, or crop the scan around the heart.")
    if isinstance(error, ModuleNotFoundError):
        return ProcessingError(f"The Python package '{error.name}' is missing. `lascarseg doctor` says how to get it.")
    if isinstance(error, OSError) and error.filename is not None:
        return ProcessingError(f"{error.filename}: {error.strerror}. Check the path, the permissions and the disk.")
    reason = " ".join(str(error).split())
    return ProcessingError(
        f"The analysis failed for a reason that was not foreseen ({type(error).__name__}: {reason}). Please report it with the "
        "traceback that --debug shows."
    )
