"""Every relative link, and every path in code ticks, of every Markdown file leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Endings that make a bare name in code ticks the name of a file of this repository.
_OURS = (".py", ".md", ".xml", ".toml", ".cfg", ".txt", ".msg", ".srv", ".action", ".json", ".yaml", ".yml", ".safetensors")
# Files that the text speaks of but that belong to the reader, or that programs write.
_NOT_OURS = {
    *(
        "color.png",
        "depth.png",
        "depth.npy",
        "intrinsics.json",
        "points.json",
        "cameras.txt",
        "ost.txt",
        "depth/camera_info",
        "pose_fPe_1.yaml",
        "pose_cPo_1.yaml",
        "wrist_camera.yaml",
        "base_T_camera.yaml",
        "overlay.png",
        "run.yaml",
    ),
    *(
        "hand_eye.yaml",
        "samples.yaml",
        "touches.yaml",
        "log.csv",
        "setup.cfg",
        "sitecustomize.py",
        "depth/image_raw",
        "model.safetensors.index.json",
        "generation_config.json",
    ),
}

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)


def anchors(text):
    """The anchors of the headings, as GitHub makes them."""
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda match: match[1] or "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken_links(path, text):
    """Relative links whose file or heading does not exist."""
    bare = _CODE.sub("", _FENCE.sub("", text))
    broken = []
    for link in [*_LINK.findall(bare), *_REFERENCE.findall(bare)]:
        if re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or not target.resolve().is_relative_to(ROOT):
            broken.append(link)
        elif anchor and target.suffix == ".md":
            known = anchors(text if target == path else target.read_text(encoding="utf-8"))
            broken += [link] if anchor.lower() not in known else []
    return broken


def paths_in(text):
    """What stands in code ticks and looks like a path of this repository."""
    found = []
    for code in _CODE.findall(_FENCE.sub("", text)):
        name = " ".join(code.split())
        name = re.sub(r"^(?:\.venv/bin/)?python3? ", "", name).split("#")[0].removeprefix("./")
        if not re.fullmatch(r"[\w.@*{},/+-]+", name) or name.startswith(("/", ".venv/", "~")) or name in _NOT_OURS:
            continue
        ours = name.endswith(_OURS) and not name.startswith(".")
        first = name.split("/")[0]
        if ours or ("/" in name and any((base / first).exists() for base in _bases())):
            found.append(name)
    return found


def _bases():
    """Where a path may start from: the repository, the package, the workspace's packages."""
    ros = ROOT / "ros2_ws" / "src" / "molmo_point_ros" / "molmo_point_ros"
    return [ROOT, ROOT / "molmo_point", ROOT / "ros2_ws", ROOT / "tests", ros]


def exists(name, path):
    """Whether a path in code ticks leads somewhere; braces and stars are expanded, a bare name may be anywhere."""
    braces = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", name)
    if braces:
        return all(exists(f"{braces[1]}{part}{braces[3]}", path) for part in braces[2].split(","))
    for base in (path.parent, *_bases()):
        if any(base.glob(name.rstrip("/"))):
            return True
    if "/" not in name and any(Path(tracked).name == name for tracked in tracked_files()):
        return True
    return ignored(name)


def ignored(name):
    """Whether git ignores it: what builds and programs write is not there in a fresh clone."""
    # with a slash, too: a folder that is not there yet looks like a file to git
    return any(
        subprocess.run(["git", "check-ignore", "-q", n], cwd=ROOT, check=False).returncode == 0 for n in (name, f"{name}/")
    )


def tracked_files():
    """Files of the repository, those not yet added included."""
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    return subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def markdown_files():
    if not (ROOT / ".git").exists():
        return sorted(path for path in ROOT.rglob("*.md") if ".venv" not in path.parts)
    return sorted(ROOT / name for name in tracked_files() if name.endswith(".md") and (ROOT / name).is_file())


FILES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in markdown_files()]


@pytest.mark.parametrize("path", FILES)
def test_links_lead_somewhere(path):
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES)
def test_paths_in_code_ticks_exist(path):
    text = path.read_text(encoding="utf-8")
    assert sorted({name for name in paths_in(text) if not exists(name, path)}) == []


def test_the_main_documents_are_looked_at():
    names = {str(path.relative_to(ROOT)) for path in markdown_files()}
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/conventions.md"} <= names


@pytest.mark.parametrize(
    "link",
    [
        "nothing.md",
        "docs/nothing.md",
        "docs/conventions.md#no-such-heading",
        "#no-such-heading",
        "../README.md",
        "docs/nothing.png",
    ],
)
def test_a_broken_link_is_noticed(link):
    text = f"# Top\n\nsee [this]({link}) and [that](docs/conventions.md#pixels)\n"
    assert broken_links(ROOT / "README.md", text) == [link]
    assert broken_links(ROOT / "README.md", f"# Top\n\n![picture]({link})\n") == [link]


@pytest.mark.parametrize(
    "name", ["points/prase.py", "molmo_point/modle/", "tests/test_nothing.py", "nothing.py", "ros2_ws/{run,walk}"]
)
def test_a_broken_path_is_noticed(name):
    (found,) = paths_in(f"see `{name}`")
    assert not exists(found, ROOT / "README.md")


@pytest.mark.parametrize(
    "name", ["points/parse.py", "molmo_point/model/", "setup.py", "ros2_ws/{run,setup_wheels.py}", "out/demo/overlay.png"]
)
def test_a_good_path_is_let_through(name):
    (found,) = paths_in(f"see `{name}`") or (name,)
    assert exists(found, ROOT / "README.md")


def test_what_is_no_path_is_let_alone():
    text = "`allenai/Molmo-7B-D-0924` `/camera/color/image_raw` `u = x / 100 * width - 0.5` `~/targets` `std_msgs/Header`"
    assert paths_in(text) == []
    assert broken_links(ROOT / "README.md", "[site](https://example.org) [top](#top)\n# Top\n") == []
