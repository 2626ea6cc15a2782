"""Build the website, warnings as errors, unless nothing it is made of has changed.

Usage: python book/build.py
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SITE = BUILD / "html"
STAMP = BUILD / "site-built-from"
COMMAND = "from jupyter_book.cli.main import main; main()"


def sources():
    """Every file the website is made of."""
    yield from (ROOT / name for name in ("_config.yml", "_toc.yml", "constraints.txt"))
    for folder in ("book", "chapters", "lib"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(file.parts):
                yield file


def state():
    """A hash of all sources, names and contents."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(sources()):
        digest.update(file.relative_to(ROOT).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def up_to_date():
    """Whether the last build that went through was of these very sources."""
    return STAMP.exists() and STAMP.read_text() == state() and (SITE / "index.html").exists()


def build():
    """Build from clean doctrees: a kept one would hide the failure that wrote it."""
    before = state()
    STAMP.unlink(missing_ok=True)
    for folder in (BUILD / ".doctrees", SITE):
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-c", COMMAND, "build", "-W", "-n", "--keep-going", "."]
    status = subprocess.call(command, cwd=ROOT, env=os.environ | {"PYTHONUTF8": "1"})
    if status == 0:
        STAMP.write_text(before)
    elif BUILD.exists() and shutil.disk_usage(BUILD).free < 2**20:
        print(f"The disk is full that holds {BUILD}: the build needs some 150 MB.")
    return status


def main():
    status = 0
    if up_to_date():
        print("Nothing has changed since the last build.")
    else:
        status = build()
    if status == 0:
        print(f"The website is in {SITE}\nOpen {(SITE / 'index.html').as_uri()}")
    return status


if __name__ == "__main__":
    # Killed, it takes Sphinx with it, as after Ctrl-C: nbclient would run the other notebooks on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
