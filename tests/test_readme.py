"""Every promise of the README is run: Python blocks, shell blocks, options, targets of make, and those of the conventions."""

import ast
import importlib
import importlib.util
import itertools
import json
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CONVENTIONS = ROOT / "docs" / "conventions.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ROS = ROOT / "docs" / "ros.md"
MANUALS = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "calibration" / "README.md")
MANUALS += tuple(sorted((ROOT / "molmo_point" / "checkpoints").glob("*/README.md")))
PAGES = tuple(ROOT / "docs" / f"{name}.md" for name in ("models", "cameras", "grasps", "tracking", "demos", "trust"))
NAMED = (ROS, *(ROOT / "docs" / f"{name}.md" for name in ("picking", "training", "calibration")))
LIFT = ROOT / "docs" / "lift.md"
WEIGHTS = ROOT / "molmo_point" / "checkpoints" / "tabletop" / "model.safetensors"

# A Python block marked so needs hardware or a download; it is compiled and its names are checked.
NOT_RUN = "not-run"
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_SHELLS = ("bash", "sh", "console", "shell")
_ALLOWED = ("cd", "ssh", "git", "source", "export", "sudo", "colcon")


def blocks(text, *languages):
    """(info string, code) of the fenced blocks in one of the languages."""
    found = [(info.strip(), code) for info, code in _FENCE.findall(text)]
    return [(info, code) for info, code in found if info.split(" ")[0] in languages]


def commands(text):
    """The commands of the shell blocks, as lists of words; comments, prompts and VARIABLE=value in front are dropped."""
    lines = []
    for _, code in blocks(text, *_SHELLS):
        for line in re.split(r"\n|&&", code.replace("\\\n", " ")):
            words = shlex.split(line.strip().removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            lines += [words] if words else []
    return lines


def options_of(parser):
    """All option strings of a parser, without those of its subcommands."""
    return {name for action in parser._actions for name in action.option_strings}


def subparsers_of(parser):
    found = [action.choices for action in parser._actions if isinstance(action, _SubParsersAction)]
    return found[0] if found else {}


def check_molmo_point(words):
    """Parses the arguments with the real parser, and refuses abbreviated options, which argparse would take."""
    from molmo_point.cli.argument_parser import build_parser

    parser = build_parser()
    known, level = options_of(parser), parser
    for word in words:
        if word in subparsers_of(level):
            level = subparsers_of(level)[word]
            known |= options_of(level)
    for word in words:
        name = word.split("=")[0]
        assert not name.startswith("--") or name in known, f"molmo-point has no option {name}"
    try:
        parser.parse_args(words)
    except SystemExit as end:
        assert not end.code, f"molmo-point {shlex.join(words)} is refused"


def check_make(words):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    variables = set(re.findall(r"\$[({](\w+)", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for word in words:
        name = word.split("=")[0]
        assert name in (variables if "=" in word else targets), f"the Makefile has no {name}"


def check_pip(words):
    assert words[0] == "install"
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assigned = [node for node in ast.walk(ast.parse(setup)) if isinstance(node, ast.Assign)]
    (extras,) = [node.value for node in assigned if getattr(node.targets[0], "id", "") == "EXTRAS"]
    known = {ast.literal_eval(key) for key in extras.keys} | {"all"}
    for word in words[1:]:
        named = re.fullmatch(r"\.\[(.*)\]", word)
        assert word.startswith("-") or word == "." or named or (ROOT / word).exists(), f"pip install {word}: what is that?"
        assert not named or set(named[1].split(",")) <= known, f"{word} names an extra that setup.py does not have"


def check_python(words):
    """A program of this repository, or a module of it; its options stand in its source."""
    if words[0] == "-m":
        name, rest = words[1], words[2:]
        if name in ("pytest", "venv"):
            return
        inside = name.startswith(("molmo_point.", "benchmarks.", "lab."))
        spec = importlib.util.find_spec(name) if inside else None
        package = ROS_PACKAGES / "molmo_point_ros" / Path(*name.split(".")).with_suffix(".py")
        source = Path(spec.origin) if spec is not None and spec.origin else package
        source = source.with_name("__main__.py") if source.name == "__init__.py" else source
    else:
        source, rest = ROOT / words[0], words[1:]
    assert source.is_file(), f"there is no program {shlex.join(words)}"
    text = source.read_text(encoding="utf-8")
    started = re.search(r"^from (molmo_point_ros[.\w]+) import main$", text, re.MULTILINE)
    if started:  # a short name of the program of another module
        text = (ROS_PACKAGES / "molmo_point_ros" / Path(*started[1].split("."))).with_suffix(".py").read_text(encoding="utf-8")
    shared = (ROOT / "benchmarks" / "program.py").read_text(encoding="utf-8") if "benchmarks.program" in text else ""
    known = set(re.findall(r"\"(--[\w-]+)\"", text + shared)) | {"--ros-args", "--help"}
    if "def parser()" in text:  # its options may come from the fields of settings
        known |= options_of(importlib.import_module(name).parser())
    check_ros_args(rest)
    for word in rest:
        name = word.split("=")[0]
        assert not name.startswith("--") or name in known, f"{source.name} has no option {name}"


ROS_PACKAGES = ROOT / "ros2_ws" / "src"


def check_ros_args(words):
    """Parameters that are set behind --ros-args are declared by a node."""
    nodes = ROS_PACKAGES / "molmo_point_ros" / "molmo_point_ros"
    declared = "".join(path.read_text(encoding="utf-8") for path in nodes.rglob("*.py"))
    for flag, word in itertools.pairwise(words):
        if flag == "-p":
            name = word.split(":=")[0]
            assert re.search(rf"^    {name}: \w+ = \w*parameter\(", declared, re.MULTILINE), f"no node has the parameter {name}"


def check_ros2(words):
    """Packages, programs, launch files, interfaces and parameters in a `ros2` command exist."""
    check_ros_args(words)
    if words[0] in ("run", "launch") and words[1].startswith("molmo_point"):
        package = ROS_PACKAGES / words[1]
        programs = re.findall(r"\"(\w+) = ", (package / "setup.py").read_text(encoding="utf-8"))
        known = programs if words[0] == "run" else [path.name for path in package.glob("launch/*")]
        assert words[2] in known, f"{words[1]} has no {words[2]}"
        if words[0] == "launch":
            source = (package / "launch" / words[2]).read_text(encoding="utf-8")
            for word in words[3:]:
                assert f'"{word.split(":=")[0]}": (' in source, f"{words[2]} has no argument {word}"
    for word in words:
        interface = re.fullmatch(r"molmo_point_msgs/(?:(msg|srv|action)/)?(\w+)", word)
        if interface:
            kind = interface[1] or "*"
            assert list((ROS_PACKAGES / "molmo_point_msgs").glob(f"{kind}/{interface[2]}.*")), word


def check_command(words):
    """One command of a shell block; a command that nothing checks is refused."""
    name, rest = words[0], words[1:]
    if name == "ros2_ws/run":
        assert (ROOT / name).is_file()
        return check_command(rest)
    name = {".venv/bin/python": "python", "python3": "python", ".venv/bin/molmo-point": "molmo-point"}.get(name, name)
    if name == "env":
        return check_command(rest)
    checks = {"molmo-point": check_molmo_point, "make": check_make, "pip": check_pip, "python": check_python, "ros2": check_ros2}
    if name in checks:
        return checks[name](rest)
    assert name in _ALLOWED, f"the test does not know how to check {shlex.join(words)!r}"
    return None


def check_names(code):
    """Compiles a block and resolves what it imports, without running it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "molmo_point":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("molmo_point_ros."):
            # not imported, because that needs rclpy
            source = ROS_PACKAGES / "molmo_point_ros" / Path(*node.module.split(".")).with_suffix(".py")
            defined = re.findall(r"^(?:class|def) (\w+)", source.read_text(encoding="utf-8"), re.MULTILINE)
            assert {alias.name for alias in node.names} <= set(defined), f"{node.module} lacks one of these"


def run_block(code, name):
    namespace = {"__name__": "__readme__"}
    exec(compile(code, name, "exec"), namespace)
    return namespace


def write_example_files(folder):
    """The files of one's own that the README's examples read."""
    from molmo_point.camera.image_file import encode_depth
    from molmo_point.files import encode_png

    color = np.full((480, 640, 3), 90, np.uint8)
    color[200:260, 300:360] = (200, 30, 30)
    (folder / "color.png").write_bytes(encode_png(color))
    (folder / "depth.png").write_bytes(encode_depth(np.full((480, 640), 0.6, np.float32), 0.001))
    intrinsics = {"width": 640, "height": 480, "fx": 600.0, "fy": 600.0, "cx": 319.5, "cy": 239.5}
    (folder / "intrinsics.json").write_text(json.dumps(intrinsics), encoding="utf-8")


def readme():
    return README.read_text(encoding="utf-8")


def python_blocks(path, run):
    found = blocks(path.read_text(encoding="utf-8"), "python")
    chosen = [(i, code) for i, (info, code) in enumerate(found) if (NOT_RUN not in info) == run]
    return [pytest.param(code, id=f"{path.stem}-{i}") for i, code in chosen]


needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS.relative_to(ROOT)} is not there yet")


@needs_weights
@pytest.mark.parametrize("code", [block for path in (README, *PAGES) for block in python_blocks(path, run=True)])
def test_python_of_the_readme_and_of_the_pages_runs(code, tmp_path, monkeypatch, capsys):
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace = run_block(code, "README.md or a page of docs")
    assert capsys.readouterr().out.strip() or "print(" not in code
    if {"camera", "pointing"} <= set(namespace):
        scene = namespace["camera"].scene
        truth = {item.name: item.position_base_m for item in scene.objects}
        wanted = namespace["pointing"].query.removeprefix("the ")
        (target,) = namespace["pointing"].targets
        in_base = target.transformed(scene.base_T_camera)
        # the object's middle is up to its half diagonal behind the surface that is pointed at
        assert np.linalg.norm(in_base.position_m - truth[wanted]) < 0.06


@pytest.mark.parametrize(
    "code",
    [
        *(block for path in (README, *PAGES, *NAMED) for block in python_blocks(path, run=False)),
        *(block for path in NAMED for block in python_blocks(path, run=True)),
    ],
)
def test_python_that_needs_hardware_names_real_things(code):
    check_names(code)


@pytest.mark.parametrize("code", [*python_blocks(CONVENTIONS, run=True), *python_blocks(LIFT, run=True)])
def test_conventions_and_what_is_said_of_lifting_hold(code):
    assert "assert" in code
    run_block(code, "docs/conventions.md or docs/lift.md")


def test_every_section_of_the_conventions_has_its_example():
    sections = re.split(r"^## ", CONVENTIONS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections if not blocks(section, "python")] == []


def command_cases():
    texts = [path.read_text(encoding="utf-8") for path in (README, CONTRIBUTING, *MANUALS)]
    unique = {shlex.join(words): words for text in texts for words in commands(text)}
    return [pytest.param(words, id=name) for name, words in unique.items()]


@pytest.mark.parametrize("words", command_cases())
def test_commands_exist(words):
    check_command(words)


def test_targets_and_options_in_the_text_exist():
    from molmo_point.cli.argument_parser import build_parser

    prose = _FENCE.sub("", readme())
    for code in re.findall(r"`([^`]+)`", prose):
        words = code.split()
        if words[0] in ("make", "molmo-point") and len(words) > 1 and "…" not in code and "|" not in code:
            check = check_make if words[0] == "make" else None
            if check:
                check(words[1:])
            else:
                assert words[1] in subparsers_of(build_parser()) or words[1] in options_of(build_parser()), code
        if code.startswith("--"):
            everywhere = set().union(*(options_of(sub) for sub in subparsers_of(build_parser()).values()))
            assert words[0] in everywhere, f"no subcommand has the option {words[0]}"


def test_the_readme_shows_the_two_commands():
    shown = {" ".join(words) for words in commands(readme())}
    assert {"make demo", "make test"} <= shown


def test_the_python_of_the_readme_is_short():
    first = python_blocks(README, run=True)[0].values[0]
    assert len(first.splitlines()) <= 8


def test_the_readme_is_short_and_says_first_what_it_is():
    lines = readme().splitlines()
    assert len(lines) <= 130
    top = "\n".join(lines[:30])
    assert "docs/images/pick.gif" in top and "Nothing here has run on a real camera" in top


def test_the_figures_of_the_scope_box_are_those_of_the_cards():
    box = "\n".join(line for line in readme().splitlines() if line.startswith(">"))
    cards = "".join(
        (WEIGHTS.parent.parent / name / "README.md").read_text(encoding="utf-8") for name in ("tabletop", "household", "objects")
    )
    shares, counts = re.findall(r"(\d+\.\d) %", box), re.findall(r"of (\d+) questions", box)
    assert shares and counts
    assert all(f"{share} %" in cards for share in shares) and all(re.search(rf"\b{count}\b", cards) for count in counts)


@pytest.mark.parametrize(
    "line",
    [
        "molmo-point point --imagine photo.png 'the mug'",
        "molmo-point pint --image photo.png",
        "molmo-point point --intrin a.json --image a.png 'the mug'",
        "make demmo",
        "make setup PITHON=python3",
        "pip install .[modle]",
        "python -m lab.training.scences --out scenes",
        "python -m lab.training.scenes --folder scenes",
        "python demos/00_nothing.py",
        "ros2_ws/run molmo-point pint",
        "ros2 interface show molmo_point_msgs/msg/PointTargets",
        "ros2 run molmo_point_ros pionting_node",
        "ros2 run molmo_point_ros pointing_node --ros-args -p kamera:=topics",
        "ros2 launch molmo_point_ros nothing.launch.py",
        "ros2 launch molmo_point_ros simulated.launch.py scene_sead:=1",
        "rm -rf build",
    ],
)
def test_a_wrong_command_is_noticed(line):
    with pytest.raises((AssertionError, SystemExit)):
        check_command(shlex.split(line))


def test_a_wrong_name_is_noticed():
    with pytest.raises(AssertionError, match="has no Pionter"):
        check_names("from molmo_point.pointer import Pionter")
    with pytest.raises(SyntaxError):
        check_names("pointer = Pointer(")


def test_blocks_and_commands_are_found():
    text = "```bash\n$ make demo  # all\ncd x && A=1 make \\\n  test\n```\n```python not-run\nx = 1\n```\n```\nplain\n```\n"
    assert commands(text) == [["make", "demo"], ["cd", "x"], ["make", "test"]]
    assert blocks(text, "python") == [("python not-run", "x = 1\n")]
    assert isinstance(subparsers_of(_two_level_parser())["a"], ArgumentParser)


def _two_level_parser():
    parser = ArgumentParser()
    parser.add_subparsers().add_parser("a")
    return parser


def test_the_package_that_is_tested_is_this_one():
    code = "import molmo_point; print(molmo_point.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()).resolve().is_relative_to(ROOT)
