"""Runs the notebooks that have changed several at a time, before Sphinx reads its pages.

MyST-NB would run them one after the other. It finds the results in its cache instead.
"""

import asyncio
import os
import time

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sphinx.errors import ExtensionError
from sphinx.util import logging

from book.explorer import SWITCH

logger = logging.getLogger(__name__)


def run_changed(app, env, docnames):
    """Execute and cache the notebooks among docnames that the cache does not have."""
    cache = get_cache(app.config.nb_execution_cache_path)
    changed = {}
    for docname in docnames:
        path = env.doc2path(docname)
        if path.endswith(".ipynb"):
            notebook = nbformat.read(path, as_version=4)
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                changed[docname] = notebook, path
    if changed:
        asyncio.run(_run_all(changed, cache, app.config.nb_execution_timeout))


async def _run_all(notebooks, cache, timeout):
    """Run all to their ends, so that one that fails costs none of the others its results."""
    cores = os.cpu_count() or 1
    free = asyncio.Semaphore(cores)
    # Threads of several notebooks on one core would wait for one another.
    threads = {"OMP_NUM_THREADS": str(max(1, cores // len(notebooks)))}

    async def run(docname, notebook, path):
        async with free:
            start = time.perf_counter()
            folder = {"metadata": {"path": os.path.dirname(path)}}
            # The cache knows a notebook by its cells' metadata too: add no times to them.
            client = NotebookClient(
                notebook, timeout=timeout, resources=folder, record_timing=False
            )
            await client.async_execute(env=threads | os.environ | {SWITCH: docname})
            seconds = time.perf_counter() - start
            bundle = CacheBundleIn(notebook, path, data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            logger.info("%s: executed in %.0f s", docname, seconds)

    runs = [run(docname, *notebook) for docname, notebook in notebooks.items()]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    failures = []
    for docname, outcome in zip(notebooks, outcomes, strict=True):
        if isinstance(outcome, CellExecutionError | CellTimeoutError):
            failures.append(f"{docname}: a cell failed\n{outcome}")
        elif outcome is not None:
            raise outcome
    if failures:
        raise ExtensionError("\n".join(failures))


def setup(app):
    app.connect("env-before-read-docs", run_changed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
