"""What pip and colcon install: one manifest, one version, and every file that the package needs."""

import ast
import configparser
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
VERSION = MANIFEST.findtext("version")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, as (names in it, function that reads one as text)."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = tmp_path_factory.mktemp("source") / "repository"
    # from a copy, because setuptools writes build/ and *.egg-info beside setup.py
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if names.returncode:
        pytest.skip("not a git checkout, so what belongs to the repository is not known")
    for name in names.stdout.splitlines():
        if (name.startswith(("molmo_point/", "ros2_ws/resource/")) or "/" not in name) and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, copy]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (path,) = folder.glob("*.whl")
    archive = zipfile.ZipFile(path)
    return archive.namelist(), lambda name: archive.read(name).decode("utf-8")


def find(names, ending):
    """The one name in the wheel with this ending."""
    (found,) = [name for name in names if name.endswith(ending)]
    return found


def test_wheel_holds_every_python_file(wheel):
    names, _ = wheel
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "molmo_point").rglob("*.py")}
    assert wanted - set(names) == set()


def test_every_folder_with_python_is_a_package():
    folders = {path.parent for path in (ROOT / "molmo_point").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_wheel_holds_every_data_file(wheel):
    names, _ = wheel
    paths = (ROOT / "molmo_point").rglob("*")
    data = {p for p in paths if p.is_file() and p.suffix not in (".py", ".pyc") and "__pycache__" not in p.parts}
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wanted = {str(path.relative_to(ROOT)) for path in data} & set(tracked.stdout.splitlines())
    assert wanted - set(names) == set()


def test_wheel_holds_the_embedded_checkpoint(wheel):
    names, _ = wheel
    folder = "molmo_point/checkpoints/tabletop/"
    held = {name.removeprefix(folder) for name in names if name.startswith(folder)}
    assert "config.json" in held
    assert any(name.endswith(".safetensors") for name in held)
    assert any("tokenizer" in name for name in held)
    assert any(name.endswith(".md") for name in held), "the model card"


def test_wheel_holds_nothing_else(wheel):
    names, _ = wheel
    tops = {name.split("/")[0] for name in names}
    assert tops == {"molmo_point", f"molmo_point-{VERSION}.data", f"molmo_point-{VERSION}.dist-info"}


def test_wheel_says_what_the_manifest_says(wheel):
    names, read = wheel
    metadata = Parser().parsestr(read(find(names, ".dist-info/METADATA")))
    assert metadata["Name"] == MANIFEST.findtext("name") == "molmo_point"
    assert metadata["Version"] == VERSION
    assert metadata["Summary"] == MANIFEST.findtext("description")
    assert MANIFEST.findtext("license") == "Apache-2.0" and "Apache-2.0" in (metadata["License"], metadata["License-Expression"])
    assert MANIFEST.find("maintainer").get("email") in metadata["Maintainer-email"]
    assert metadata["Requires-Python"] == ">=3.10"


def test_wheel_holds_the_licence_in_full(wheel):
    names, read = wheel
    text = read(find(names, "LICENSE"))
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_wheel_has_the_command(wheel):
    names, read = wheel
    entries = configparser.ConfigParser()
    entries.read_string(read(find(names, "entry_points.txt")))
    assert dict(entries["console_scripts"]) == {"molmo-point": "molmo_point.cli:main"}


def test_wheel_is_a_ros_package(wheel):
    names, read = wheel
    assert find(names, "data/share/ament_index/resource_index/packages/molmo_point")
    assert ElementTree.fromstring(read(find(names, "data/share/molmo_point/package.xml"))).findtext("version") == VERSION


def test_extras_are_those_documented(wheel):
    names, read = wheel
    metadata = Parser().parsestr(read(find(names, ".dist-info/METADATA")))
    document = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8").partition("\n## Extras\n")[2]
    extras = set(re.findall(r"^\| `(\w+)` \|", document, re.MULTILINE))
    assert set(metadata.get_all("Provides-Extra")) == extras
    needs = metadata.get_all("Requires-Dist")
    base = sorted(re.split(r"[^a-z]", need)[0] for need in needs if "extra ==" not in need)
    assert base == ["numpy", "pillow", "pyyaml"], "installing without extras stays small"
    assert any(need.startswith("pytest") and "test" in need for need in needs), "that is how colcon finds pytest"


def test_versions_are_one():
    import molmo_point

    assert molmo_point.__version__ == VERSION
    for path in (ROOT / "ros2_ws").glob("src/*/package.xml"):
        assert ElementTree.parse(path).getroot().findtext("version") == VERSION, path
    changelog = ROOT / "CHANGELOG.md"
    assert VERSION in changelog.read_text(encoding="utf-8"), "the version has no entry in CHANGELOG.md"


def test_setup_py_repeats_nothing_of_the_manifest():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "setup"]
    given = {keyword.arg for keyword in call.keywords}
    assert given & {"name", "version", "description", "maintainer", "maintainer_email", "license", "author"} == set()


def test_colcon_would_still_install_something():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not re.search(r"^\[project\]", text, re.MULTILINE), "with a [project] table colcon installs nothing"
    comments = re.findall(r"#.*", (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert not any("setup()" in comment for comment in comments), "colcon reads this as a call"
    assert not (ROOT / "setup.cfg").exists()


def test_constraints_pin_what_setup_names():
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {name.lower().replace("_", "-") for name in pinned}
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named = {match[1] for text in texts if (match := re.fullmatch(r"([a-z0-9-]+)(>=[\d.]+)", text))}
    named |= {
        text for text in texts if text.startswith("ros-") or text in ("hypothesis", "beartype", "jaxtyping", "ruff", "pyright")
    }
    assert len(named) > 15
    assert named - pinned == set()
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
