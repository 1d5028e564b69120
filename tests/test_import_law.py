"""The import law: parts import only parts on earlier lines, and heavy libraries stay where they belong.

The walk covers function bodies, type-checking blocks and literal `import_module` calls. The checker is itself checked on
planted violations.
"""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "molmo_point"

LINES = (
    ("errors",),
    ("arrays", "plain_json", "files", "dependencies"),
    ("geometry",),
    ("frame",),
    ("cautions", "patch_features"),
    ("results",),
    ("text_checks", "query_words"),
    ("request",),
    ("crop", "trust"),
    ("backend",),
    ("depth", "target_time"),
    ("points",),
    ("pointer",),
    ("several_views",),
    ("grasp", "hand_eye"),
    ("camera",),
    ("arm",),
    ("tracking", "model", "commands"),
    ("picking", "calibration"),
    ("sim", "teaching"),
    ("finetuning",),
    ("evaluation",),
    ("viz",),
    ("cli",),
)
"""Parts of the package, files and folders. Parts on one line do not import one another."""
LINE_OF = {part: number for number, parts in enumerate(LINES, start=1) for part in parts}


MODELS = ("model/", "finetuning/")
LIBRARIES = {
    "torch": ((*MODELS, "evaluation/machine.py", "evaluation/speed.py", "cli/doctor/checkpoint.py"), False),
    "transformers": ((*MODELS, "evaluation/machine.py"), False),
    "pyrealsense2": (("camera/",), True),
    "open3d": (("grasp/", "frame.py", "camera/", "evaluation/", "viz/"), True),
    "imageio": (("camera/",), True),
    "OpenEXR": (("camera/",), True),
    "rosbags": (("camera/",), True),
    "matplotlib": (("viz/training_chart.py",), True),
    "cv2": (("grasp/", "tracking/", "teaching/", "viz/video.py", "camera/", "calibration/", "hand_eye/"), False),
    "scipy": (("camera/", "tracking/", "hand_eye/", "calibration/", "grasp/", "depth/", "evaluation/", "arm/"), True),
    "mujoco": (("sim/", "cli/doctor/probes.py"), True),
    "faster_whisper": (("commands/speech.py",), True),
    "av": (("viz/video.py", "camera/video_file.py"), True),
    "viser": (("viz/browser/",), True),
    "rclpy": ((), False),
}
"""Library -> files or folders that may import it, and whether only inside functions."""
LAZY = importlib.import_module("molmo_point")._LAZY
OUTSIDE = ("benchmarks", "lab")


def imports_of(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """Yield (dotted name, line number, is inside a function) for everything that a module imports.

    `package` is the dotted name of the package of the module, the start of relative imports. For
    `from a import b` both a and a.b are yielded, because b may be a module.
    """
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__", "require") and isinstance(node.args[0].value, str):
                names = [node.args[0].value]
        for name in names:
            yield name, node.lineno, id(node) in inside


def resolve(name: str) -> str:
    """Return the module of an imported name of the package: molmo_point.Pointer is molmo_point.pointer."""
    head, _, rest = name.partition(".")
    return LAZY.get(rest, name) if head == "molmo_point" else name


def violations(path: str, source: str) -> list[str]:
    """Return the violations of a file of the package, given by its path inside the package."""
    parts = Path(path).with_suffix("").parts
    part = parts[0]
    found = set()
    for name, line, inside in imports_of(ast.parse(source), ("molmo_point", *parts[:-1])):
        top, *rest = resolve(name).split(".")
        place = f"molmo_point/{path}:{line}"
        if top == "molmo_point" and rest and rest[0] in LINE_OF and part != "__init__":
            if rest[0] != part and LINE_OF[rest[0]] >= LINE_OF[part]:
                found.add(f"{place}: {part} (line {LINE_OF[part]}) imports {rest[0]} (line {LINE_OF[rest[0]]})")
        elif top == "molmo_point" and rest and part == "__init__":
            found.add(f"{place}: the package itself imports {'.'.join(rest)}, it must list it in _LAZY")
        elif top in OUTSIDE:
            found.add(f"{place}: {top} is imported, but it is not part of the wheel")
        elif top.endswith("_msgs"):
            found.add(f"{place}: {top} is imported, but the SDK has never heard of ROS")
        elif top in LIBRARIES:
            allowed, only_inside = LIBRARIES[top]
            if not any(path == each or (each.endswith("/") and path.startswith(each)) for each in allowed):
                found.add(f"{place}: {top} may be imported in {', '.join(allowed) or 'no file'} only")
            elif only_inside and not inside:
                found.add(f"{place}: {top} may be imported inside functions only")
    return sorted(found)


FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_the_law(path: str) -> None:
    assert violations(path, (PACKAGE / path).read_text(encoding="utf-8")) == []


def test_every_part_has_a_line() -> None:
    names = {Path(path).parts[0].removesuffix(".py") for path in FILES} - {"__init__", "__main__"}
    assert names - set(LINE_OF) == set(), "a new part of molmo_point needs a line in the import law"


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("geometry/poses.py", "from molmo_point.frame import RgbdFrame", "geometry (line 3) imports frame (line 4)"),
        ("geometry/poses.py", "def f():\n    import molmo_point.depth.lift", "imports depth"),
        ("geometry/poses.py", "from ..pointer import Pointer", "imports pointer"),
        ("geometry/poses.py", "from molmo_point import pointer", "imports pointer"),
        ("geometry/poses.py", "from molmo_point import Pointer", "imports pointer"),
        ("arrays.py", "from . import files", "arrays (line 2) imports files (line 2)"),
        ("points/parse.py", "from molmo_point.model.load import x", "points (line 12) imports model (line 18)"),
        ("camera/base.py", "if TYPE_CHECKING:\n    from molmo_point.sim import scene", "imports sim"),
        ("viz/overlay.py", "from importlib import import_module\nimport_module('molmo_point.cli')", "imports cli"),
        ("cli/bench.py", "def f():\n    from benchmarks.decoding.run import run_bench", "benchmarks is imported"),
        ("finetuning/tuner.py", "import lab.training", "lab is imported"),
        ("depth/lift.py", "import torch.nn.functional as F", "torch may be imported in model/, finetuning/"),
        ("pointer.py", "class A:\n    def f(self):\n        from transformers import AutoModel", "transformers may be"),
        ("camera/realsense.py", "import pyrealsense2 as rs", "pyrealsense2 may be imported inside functions only"),
        ("tracking/follow.py", "def f():\n    import pyrealsense2", "camera/ only"),
        ("tracking/follow.py", "import open3d", "open3d may be imported in grasp/"),
        ("viz/scene3d.py", "import matplotlib.pyplot", "matplotlib may be imported in viz/training_chart.py only"),
        ("geometry/poses.py", "def f():\n    import cv2", "cv2 may be imported in"),
        ("camera/simulated.py", "import mujoco", "mujoco may be imported in sim/"),
        ("cli/demo.py", "import rclpy.node", "rclpy may be imported in no file only"),
        ("cli/demo.py", "from geometry_msgs.msg import Point", "never heard of ROS"),
        ("__init__.py", "from molmo_point.pointer import Pointer", "_LAZY"),
    ],
)
def test_a_planted_violation_is_found(path: str, source: str, expected: str) -> None:
    found = violations(path, source)
    assert len(found) >= 1
    assert any(expected in text for text in found), found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("depth/lift.py", "import numpy\nfrom molmo_point.depth.estimator import x\nfrom ..frame import y"),
        ("camera/realsense.py", "def f():\n    import pyrealsense2\n    import cv2"),
        (
            "model/load.py",
            "import torch\nimport transformers\nfrom .architecture.config import x\nfrom molmo_point import InputError",
        ),
        ("cli/point.py", "from molmo_point import Pointer\nfrom molmo_point.viz import overlay"),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(path, source) == []


HEAVY = ("torch", "transformers", "cv2", "mujoco", "pyrealsense2", "open3d", "rclpy", "matplotlib", "scipy")
LIGHT = ("errors", "arrays", "geometry", "frame", "results", "request", "backend", "trust", "depth", "points", "pointer")


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads in a Python of its own."""
    program = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_importing_the_package_loads_numpy_at_most() -> None:
    new = loaded_by("import molmo_point") - loaded_by("import numpy")
    assert new - {"molmo_point"} - set(sys.stdlib_module_names) == set()


def test_the_data_path_without_a_model_loads_nothing_heavy() -> None:
    names = [
        ".".join(("molmo_point", *Path(path).with_suffix("").parts)).removesuffix(".__init__")
        for path in FILES
        if Path(path).parts[0].removesuffix(".py") in LIGHT
    ]
    assert loaded_by("import " + ", ".join(names)) & set(HEAVY) == set()


def test_the_check_of_loaded_modules_can_fail() -> None:
    assert "json" in loaded_by("import json")
    assert "numpy" in loaded_by("import molmo_point.frame")
