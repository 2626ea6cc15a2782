"""Run the notebooks as they run on Colab and on Binder: away from this checkout, as committed.

`make test-colab` and `make test-binder` make the environments and call this in them.

Usage: python -m tests.elsewhere colab|binder [NOTEBOOK ...]   (default: all chapters)
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from book.publish_as import ROOT, current, version

TIMEOUT = 900  # seconds for a cell
NAME = "when-training-gets-stuck"
PYTHON = [sys.executable, "-m"]


def installed():
    """All packages of this environment but ours, with their versions."""
    freeze = [*PYTHON, "pip", "list", "--format=freeze"]
    lines = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(line for line in lines if not line.startswith(f"{NAME}=="))


def cloned(folder):
    """A clone of this repository, tagged as a release is."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    subprocess.run(["git", "tag", "--force", f"v{version()}"], cwd=folder, check=True)
    return folder


def colab(scratch):
    """Set up what tells the chapters that they are on Colab. Returns the folder to run them in.

    In the kernel `google.colab` is imported before the first cell, and git is sent to the clone,
    so that the cell which fetches `lib` runs as it stands.
    """
    clone, modules, ipython = cloned(scratch / "clone"), scratch / "modules", scratch / "ipython"
    (modules / "google").mkdir(parents=True)
    (modules / "google" / "colab.py").touch()
    startup = ipython / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text("import google.colab\n")
    os.environ |= {
        "PYTHONPATH": str(modules),
        "IPYTHONDIR": str(ipython),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # this IPython's debugger warns of Python 3.12
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{clone}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{current()}",
    }
    content = scratch / "content"
    content.mkdir()
    return content


def binder(scratch):
    """Do what Binder does after it has made the environment. Returns the folder of the chapters."""
    clone = cloned(scratch / "clone")
    programs = Path(sys.executable).parent
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    subprocess.run([clone / "postBuild"], cwd=clone, env=os.environ | {"PATH": path}, check=True)
    return clone / "chapters"


def fault(file, folder):
    """What is wrong with a run of the notebook in the folder, or None."""
    notebook = nbformat.read(file, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=where)
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError) as error:
        return str(error)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.get("name") == "stderr")
    return f"on stderr: {said}" if said else None


def main():
    place, *names = sys.argv[1:]
    files = [Path(name) for name in names] or sorted((ROOT / "chapters").glob("0*.ipynb"))
    before, failed = installed(), 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = {"colab": colab, "binder": binder}[place](Path(scratch))
        for file in files:
            if place == "colab":  # each chapter's own first cell has to bring lib
                subprocess.run([*PYTHON, "pip", "uninstall", "-qq", "--yes", NAME], check=True)
            start = time.perf_counter()
            wrong = fault(file, folder)
            failed += bool(wrong)
            seconds = time.perf_counter() - start
            print(f"{file.name}: {wrong or 'ran'} ({seconds:.0f} s)", flush=True)
    after = installed()
    if after != before:
        sys.exit(f"other packages were changed: {sorted(set(before) ^ set(after))}")
    print(f"on {place}: {len(files) - failed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
