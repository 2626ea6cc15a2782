"""A progress bar that a person sees and a stored output does not keep."""

import sys

from tqdm import tqdm

from lib.training.sweeps import in_sweep


def progress_bar(total, progress):
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    in_notebook = hasattr(shell, "kernel")
    if progress is None:
        # Programs that store what a notebook shows (nbclient, on which Jupyter Book, nbconvert
        # and papermill rest, and nbval) tell the kernel that there is no one to ask for input.
        content = shell.get_parent().get("content", {}) if in_notebook else {}
        person = content.get("allow_stdin", False) if in_notebook else sys.stderr.isatty()
        progress = person and not in_sweep.get()
    return tqdm(
        total=total,
        disable=not progress,
        file=_NotebookLine() if in_notebook else sys.stderr,
        leave=False,
        delay=1,
        unit=" examples",
        unit_scale=True,
    )


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
