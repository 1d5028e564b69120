"""The hook that checks the subject of a commit message, and its installation by the set-up program."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOOK = ROOT / ".githooks" / "commit-msg"


def check(folder, message):
    file = folder / "message"
    file.write_text(message, encoding="utf-8")
    return subprocess.run([sys.executable, HOOK, file], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "message",
    [
        "camera: open a recording by its path\n",
        "camera, ros: open cameras by text\n\nA body may say anything, at any length.\n",
        "molmo2/image: speed the resize up\n",
        "docs/adr: process one decision a page",
        "# a comment of git\ngrasp: type the reasons of rejection\n",
        "a: " + "x" * 69,
        "Merge branch 'main'\n",
        'Revert "camera: open"\n',
        "fixup! camera: open a recording\n",
        "\n",
    ],
)
def test_a_good_subject_passes(message, tmp_path):
    run = check(tmp_path, message)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("a: " + "x" * 70, "at most 72 characters, it has 73"),
        ("Two of the seeds of putting into containers are slow tests", "area: imperative"),
        ("wip", "area: imperative"),
        ("Camera: open a recording", "area: imperative"),
        ("camera:open a recording", "area: imperative"),
        ("camera: ", "area: imperative"),
        ("camera: opened a recording", "imperative, not by 'opened'"),
        ("camera: opening a recording", "imperative, not by 'opening'"),
        ("camera: opens a recording", "imperative, not by 'opens'"),
        ("camera: Open a recording", "lower case: 'open'"),
        ("camera: open a recording.", "period"),
    ],
)
def test_a_bad_subject_is_refused(message, problem, tmp_path):
    run = check(tmp_path, message)
    assert run.returncode == 1
    assert problem in run.stderr and message.strip() in run.stderr


@pytest.fixture(scope="module")
def setup_program():
    spec = importlib.util.spec_from_file_location("setup_environment", ROOT / "ros2_ws" / "setup_environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(folder, *arguments):
    run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout.strip()


def test_the_hook_is_installed_only_in_a_checkout_without_hooks_of_its_own(setup_program, tmp_path):
    setup_program.install_commit_hook(tmp_path)  # no checkout: nothing happens
    git(tmp_path, "init")
    setup_program.install_commit_hook(tmp_path)
    assert git(tmp_path, "config", "core.hooksPath") == ".githooks"
    git(tmp_path, "config", "core.hooksPath", "mine")
    setup_program.install_commit_hook(tmp_path)
    assert git(tmp_path, "config", "core.hooksPath") == "mine"


def test_git_runs_the_hook(setup_program, tmp_path):
    git(tmp_path, "init")
    (tmp_path / ".githooks").mkdir()
    (tmp_path / ".githooks" / "commit-msg").write_bytes(HOOK.read_bytes())
    (tmp_path / ".githooks" / "commit-msg").chmod(0o755)
    setup_program.install_commit_hook(tmp_path)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for subject in ("Some words", "camera: open a recording"):
        git(tmp_path, *author, "commit", "--allow-empty", "-m", subject)
    assert git(tmp_path, "log", "--format=%s") == "camera: open a recording"
