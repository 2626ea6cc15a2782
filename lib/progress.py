"""Long work seen and stopped: a progress bar that no stored output keeps, and Ctrl-C."""

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real

from torch import distributed
from tqdm import tqdm

in_sweep = ContextVar("in_sweep", default=False)


def progress_bar(total, progress=None, unit="examples"):
    """A tqdm bar with the time left, that appears after a second and goes away at the end.

    ``progress=None`` shows it where a person looks on, a terminal or a live notebook, and never
    where outputs are stored, in a sweep, or beside the bar of the first process of a torchrun.
    ``total`` is a number from 0 to 1e30, or None where it is not known.
    """
    if not (progress is None or isinstance(progress, bool)):
        raise TypeError(f"progress must be True, False or None, got {progress!r}")
    if not (total is None or (isinstance(total, Real) and 0 <= total <= 1e30)):
        raise ValueError(f"total must be a number from 0 to 1e30, or None, got {total!r}")
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    in_notebook = hasattr(shell, "kernel")
    if progress is None:
        # Programs that store what a notebook shows (nbclient, on which Jupyter Book, nbconvert
        # and papermill rest, and nbval) tell the kernel that there is no one to ask for input.
        content = shell.get_parent().get("content", {}) if in_notebook else {}
        person = content.get("allow_stdin", False) if in_notebook else sys.stderr.isatty()
        progress = person and not in_sweep.get() and not _is_second_process()
    return tqdm(
        total=total if total is None or isinstance(total, int) else float(total),
        disable=not progress,
        file=_NotebookLine() if in_notebook else sys.stderr,
        leave=False,
        delay=1,
        unit=f" {unit}",
        unit_scale=True,
    )


@contextmanager
def until_interrupted(what, enough, stacklevel=2):
    """Let Ctrl-C end the block with a warning, once ``enough()`` says there is a result.

    ``stacklevel`` as for a warning in the block: 2 points at the caller of its function.
    """
    try:
        yield
    except KeyboardInterrupt:
        if in_sweep.get() or not enough():  # or the sweep would go on with the next run
            raise
        text = f"{what} was interrupted: this is the best so far"
        warnings.warn(text, stacklevel=stacklevel + 2)  # past this function and contextlib's own


def _is_second_process():
    return distributed.is_available() and distributed.is_initialized() and distributed.get_rank()


class _NotebookLine:
    """A file whose newest text is a line of a notebook's output; blank text takes it away.

    Stored, an emptied line is an output without data: nothing to see and nothing to compare.
    """

    handle = None

    def write(self, text):
        from IPython.display import display

        content = {"text/plain": text.strip()} if text.strip() else {}
        if self.handle is not None:
            self.handle.update(content, raw=True)
        elif content:
            self.handle = display(content, raw=True, display_id=True)

    def flush(self):
        pass
