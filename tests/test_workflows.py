"""What GitHub runs by itself: valid, pinned, few rights, bounded in time, one issue at most."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
import yaml

from book.build import ROOT

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS = {file.name: yaml.safe_load(file.read_text("utf8")) for file in FILES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
STEPS = [step for name, job in JOBS for step in WORKFLOWS[name]["jobs"][job]["steps"]]
RUNS = [step["run"] for step in STEPS if "run" in step]
WRITES = {  # every right beyond reading
    ("publish.yml", "deploy", "pages"),
    ("publish.yml", "deploy", "id-token"),
    ("weekly.yml", "report", "issues"),
}
GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
if [ "$2" = list ]; then echo "$OPEN"; fi
"""

every_job = pytest.mark.parametrize(("name", "job"), JOBS)


def program(name):
    """A command that an installed package brings."""
    return shutil.which(name, path=sysconfig.get_path("scripts"))


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", FILES), ("dependabot", [ROOT / ".github/dependabot.yml"])],
)
def test_files_fit_the_schema(schema, files):
    command = [program("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *files]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_zizmor_finds_nothing():
    command = [program("zizmor"), "--offline", "--color=never", ROOT / ".github"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_actions_are_named_by_commit_and_version_and_each_at_one_version():
    pins = {}
    for file in FILES:
        for use in re.findall(r"uses: (.*)", file.read_text("utf8")):
            pin = re.fullmatch(r"([\w-]+/[\w-]+)[\w/-]*(@[0-9a-f]{40} # v\d+\.\d+\.\d+)", use)
            assert pin, use
            pins.setdefault(pin[1], set()).add(pin[2])
    assert all(len(versions) == 1 for versions in pins.values()), pins


def test_checkouts_keep_no_credentials():
    checkouts = [step for step in STEPS if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_has_no_rights_but_its_jobs_own_and_one_run_at_a_time(name):
    assert WORKFLOWS[name]["permissions"] == {}
    assert WORKFLOWS[name]["concurrency"]["group"]


@every_job
def test_job_has_a_limit_of_time(name, job):
    assert WORKFLOWS[name]["jobs"][job]["timeout-minutes"] <= 90


def test_rights_to_write_are_those_that_are_needed():
    rights = {
        (name, job, right)
        for name, job in JOBS
        for right, level in WORKFLOWS[name]["jobs"][job]["permissions"].items()
        if level != "read"
    }
    assert rights == WRITES


@pytest.mark.parametrize("run", RUNS)
def test_run_takes_values_from_its_environment_alone(run):
    assert "${{" not in run


@pytest.mark.parametrize("run", [run for run in RUNS if re.match(r"make |\.ci/", run)])
def test_run_names_what_there_is(run):
    if target := re.match(r"make ([\w-]+)", run):
        assert re.search(rf"^{target[1]}:", (ROOT / "Makefile").read_text("utf8"), re.MULTILINE)
    else:
        assert os.access(ROOT / run, os.X_OK)


def test_executed_notebooks_are_restored_as_they_were_saved():
    caches = [step["with"] for step in STEPS if "actions/cache" in step.get("uses", "")]
    assert len(caches) == 2
    assert caches[0] == caches[1]


def test_every_job_of_the_weekly_workflow_is_reported():
    jobs = WORKFLOWS["weekly.yml"]["jobs"]
    (step,) = jobs["report"]["steps"]
    assert jobs["report"]["needs"] == [job for job in jobs if job != "report"]
    for job in jobs["report"]["needs"]:
        assert f"${{{{ needs.{job}.result }}}}" in step["env"]["BODY"]


@pytest.mark.skipif(sys.platform == "win32", reason="the step is written for bash")
@pytest.mark.parametrize(
    ("number", "call"),
    [("", "issue create --title A title --body A body"), ("7", "issue comment 7 --body A body")],
)
def test_report_opens_one_issue_and_comments_on_it_then(tmp_path, number, call):
    (step,) = WORKFLOWS["weekly.yml"]["jobs"]["report"]["steps"]
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    values = {"TITLE": "A title", "BODY": "A body", "CALLS": "calls", "OPEN": number}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-e", "-c", step["run"]]
    subprocess.run(command, cwd=tmp_path, env=os.environ | values | {"PATH": path}, check=True)
    listed, called = (tmp_path / "calls").read_text().splitlines()
    assert listed.startswith("issue list --state open ")
    assert called == call
