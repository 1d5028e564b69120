"""The doctor: never crashes, says what to fix, and fails only for what is needed."""

import dataclasses
import json
import shutil
import struct
import sys
from pathlib import Path

import pytest

from molmo_point.camera.registry import CAMERAS
from molmo_point.cli import main
from molmo_point.cli.doctor import doctor_command as doctor
from molmo_point.cli.doctor import probes
from molmo_point.cli.doctor.checkpoint import inspected, problems_of, report_lines, size_words
from molmo_point.cli.doctor.probes import FAIL, NOTE, OK, WARN, Check, at_least, run_probe
from molmo_point.model.checkpoint.report import IMAGE_TOKENS, inspect_checkpoint


def safetensors(tensors: dict[str, int]) -> bytes:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 257}
    (folder / "config.json").write_text(json.dumps({"model_type": "molmo", **sizes}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {token: i for i, token in enumerate(IMAGE_TOKENS)}}}))
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors({"a": 10, "b": 7}))
    return folder


def sharded(folder: Path) -> Path:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model-00002-of-00002.safetensors").write_bytes(safetensors({"c": 3}))
    weight_map = {
        "a": "model-00001-of-00002.safetensors",
        "b": "model-00001-of-00002.safetensors",
        "c": "model-00002-of-00002.safetensors",
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def test_a_whole_checkpoint_has_no_problem(checkpoint):
    assert problems_of(checkpoint) == []
    assert problems_of(sharded(checkpoint)) == []


@pytest.mark.parametrize(
    ("name", "data", "clue"),
    [
        ("model.safetensors", safetensors({"a": 10})[:-1], "expected"),
        ("model.safetensors", safetensors({"a": 10})[:20], "cut short"),
        ("model.safetensors", b"", "cut short"),
        ("model.safetensors", b"garbage " * 50, "no safetensors"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("model.safetensors", safetensors({}), "no tensor"),
        ("model.safetensors", None, "no weights"),
        ("config.json", None, "config.json: it is missing"),
        ("config.json", b"{", "not JSON"),
        ("config.json", b"[]", "list"),
        ("tokenizer.json", None, "tokenizer"),
    ],
)
def test_a_damaged_checkpoint_is_told(checkpoint, name, data, clue):
    (checkpoint / name).unlink()
    if data is not None:
        (checkpoint / name).write_bytes(data)
    (problem,) = problems_of(checkpoint)
    assert clue in problem


def test_missing_and_broken_shards_are_named(checkpoint):
    sharded(checkpoint)
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    assert problems_of(checkpoint) == ["model-00002-of-00002.safetensors: this shard is missing"]
    (checkpoint / "model.safetensors.index.json").write_text("{}")
    assert "index.json: it has no weight_map" in problems_of(checkpoint)[0]
    assert "does not exist" in problems_of(checkpoint / "nowhere")[0]


def test_probes_survive_whatever_the_program_does():
    assert run_probe("import json; print('noise'); print(json.dumps({'a': 1}))") == {"a": 1}
    assert "ImportError" in run_probe("import os; from os import nothing_of_that_name")["error"]
    assert run_probe("import os; os.abort()")["error"] == "crashed with signal 6"
    assert "code 3" in run_probe("raise SystemExit(3)")["error"]
    assert "error" in run_probe("print('no json')")
    assert "within 0.2 s" in run_probe("import time; time.sleep(60)", timeout_s=0.2)["error"]
    assert run_probe("import json, sys; print(json.dumps(sys.argv[1:]))", "x y") == ["x y"]


@pytest.mark.parametrize(
    ("version", "wanted", "enough"),
    [("2.13.0+cpu", "2.4", True), ("2.4", "2.4", True), ("1.9.9", "2.4", False), ("4.10.0.84", "4.8", True), ("?", "1", False)],
)
def test_versions_compare_as_numbers(version, wanted, enough):
    assert at_least(version, wanted) is enough


def package(**changes):
    given = {
        "name": "thing",
        "distributions": ("numpy",),
        "module": "json",
        "lowest": "1",
        "needed": False,
        "purpose": "tests",
        "fix": "pip install thing",
    }
    return doctor._package(**{**given, **changes})


def test_packages_present_missing_old_and_broken(tmp_path, monkeypatch):
    assert package().status == OK
    missing = package(distributions=("no-such-thing",), module="no_such_thing")
    assert missing.status == WARN and missing.fix == "pip install thing"
    assert package(distributions=("no-such-thing",), module="no_such_thing", needed=True).status == FAIL
    old = package(lowest="999")
    assert old.status == WARN and "too old" in old.found
    (tmp_path / "sick_module.py").write_text("raise RuntimeError('libGL.so.1: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sick = package(module="sick_module")
    assert sick.status == WARN and "libGL" in sick.found and "reinstall" in sick.fix


def test_a_check_that_falls_over_is_one_line_of_the_report(monkeypatch):
    def fall():
        raise RuntimeError("boom")

    monkeypatch.setattr(doctor, "_gpu", fall)
    monkeypatch.setattr(doctor, "_PACKAGES", ())
    monkeypatch.setattr(doctor, "CAMERAS", {})
    for name in ("_rendering", "_ros"):
        monkeypatch.setattr(doctor, name, list)
    checks = doctor.examine()
    assert any("boom" in check.found and check.status == WARN for check in checks)
    assert any(check.name == "python" for check in checks)


def test_ros_that_is_sourced_for_another_python_is_explained(monkeypatch):
    monkeypatch.setattr(probes, "has_module", lambda name: False)
    monkeypatch.setenv("ROS_DISTRO", "humble")
    (check,) = doctor._ros()
    assert check.status == WARN and "humble" in check.found and "system-site-packages" in check.fix
    monkeypatch.delenv("ROS_DISTRO")
    (check,) = doctor._ros()
    assert check.status == NOTE and check.fix


def test_ros_without_our_messages_says_how_to_build_them(monkeypatch):
    def probe(program, *arguments, **_):
        return {"rmw": "rmw_x"} if not arguments else {"error": f"No module named {arguments[0]!r}"}

    monkeypatch.setattr(probes, "has_module", lambda name: True)
    monkeypatch.setattr(probes, "run_probe", probe)
    ros, messages, nodes = doctor._ros()
    assert ros.status == OK and "rmw_x" in ros.found
    assert messages.name == "molmo_point_msgs" and messages.status == WARN and "colcon build" in messages.fix
    assert nodes.name == "molmo_point_ros"


def driver(**changes):
    return dataclasses.replace(CAMERAS["realsense"], package="numpy>=1.24", **changes)


@pytest.fixture
def probing(tmp_path, monkeypatch):
    """Writes the module that a driver's probe is in; returns the checks of a driver with that probe."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def check(body):
        header = "from molmo_point.camera.base import DeviceReport\nfrom molmo_point.errors import DependencyError\n"
        (tmp_path / "found_by_probe.py").write_text(f"{header}def report():\n    {body}\n")
        return doctor._camera(driver(probe="found_by_probe:report"))

    return check


def test_a_library_of_taught_objects_is_described_or_refused(monkeypatch):
    answers = iter(
        ({"features": "lite0-1", "names": ["my mug", "a\x1b[2J"], "views": 7}, {"problem": "no: x", "fix": "y"}, {"error": "z"})
    )
    monkeypatch.setattr(probes, "run_probe", lambda program, path: next(answers))
    good, bad, crashed = (doctor._library("x.taught") for _ in range(3))
    assert (good.status, good.found) == ("ok", "complete, 2 objects, 7 views, features lite0-1") and "\x1b" not in good.details[1]
    assert (bad.status, bad.found, bad.fix) == ("fail", "no: x", "y") and crashed.found == "z" and crashed.fix


@pytest.mark.slow
def test_a_library_is_read_in_a_process_of_its_own(tmp_path):
    (tmp_path / "x.taught").write_bytes(b"no library")
    check = doctor._library(str(tmp_path / "x.taught"))
    assert check.status == "fail" and "must be a library of taught objects" in check.found and check.fix


def test_devices_of_a_camera_driver_are_listed_by_its_own_probe(probing):
    package, slow, good = probing("return DeviceReport('D435, USB 2', 'use USB 3'), DeviceReport('D435, USB 3.2')")
    assert package.name == "numpy" and (package.status, slow.status, good.status) == (OK, WARN, OK)
    assert slow.fix == "use USB 3" and good.name == "realsense"
    assert probing("return (DeviceReport('none', 'plug it in', connected=False),)")[1].status == NOTE


def test_a_probe_that_fails_gives_the_driver_s_own_remedy(probing):
    sick = probing("raise DependencyError('Libusb is missing', 'libusb-1.0.so.0', 'apt install libusb')")[1]
    assert sick.status == WARN and "libusb-1.0.so.0" in sick.found and sick.fix == "apt install libusb"
    assert "signal" in probing("import os; os.abort()")[1].found


def test_the_package_of_a_camera_driver_is_missing_or_old():
    (missing,) = doctor._camera(dataclasses.replace(CAMERAS["realsense"], package="no_such_thing>=1"))
    assert missing.status == WARN and "molmo-point[realsense]" in missing.fix
    old = doctor._camera(dataclasses.replace(CAMERAS["realsense"], package="numpy>=999"))[0]
    assert old.status == WARN and "too old" in old.found
    assert doctor._camera(CAMERAS["recording"]) == []


def test_a_hugging_face_name_is_looked_up_in_the_cache(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "run_probe", lambda *_, **__: {"error": "not run in this test"})
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    missing = doctor._named_checkpoint("some/model")
    assert missing.status == FAIL and missing.report is None and missing.fix == "hf download some/model"
    snapshots = tmp_path / "hub" / "models--some--model" / "snapshots"
    snapshots.mkdir(parents=True)
    checkpoint.rename(snapshots / "abc")
    assert doctor._named_checkpoint("some/model").status == OK
    assert doctor._named_checkpoint(str(snapshots / "abc")).status == OK
    assert doctor._named_checkpoint(str(tmp_path / "hub" / "nothing")).status == FAIL


@pytest.fixture
def scripted(monkeypatch):
    checks = [Check("python", OK, "3"), Check("open3d", WARN, "not installed", "pip install open3d")]
    monkeypatch.setattr(doctor, "examine", lambda *_: checks)
    return checks


def test_exit_code_is_1_only_for_what_is_needed(scripted, capsys):
    assert main(["doctor"]) == 0
    assert "pip install open3d" in capsys.readouterr().out
    scripted.append(Check("torch", FAIL, "not installed", "pip install torch"))
    assert main(["doctor"]) == 1
    assert "needed and broken: torch" in capsys.readouterr().out


def test_json_is_one_object(scripted, capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["checks"][1] == {"name": "open3d", "status": "warn", "found": "not installed", "fix": "pip install open3d"}


REPORTED = {"python", "numpy", "torch", "transformers", "opencv", "mujoco", "pyrealsense2", "bitsandbytes", "ros 2"} | {
    "checkpoint tabletop",
    "checkpoint of --model",
}


def doctor_report(capsys) -> dict:
    """Return the report on this machine and `tabletop`, after checks that hold for every report."""
    code = main(["doctor", "--json", "--model", "tabletop"])
    report = json.loads(capsys.readouterr().out)
    assert {check["name"] for check in report["checks"]} >= REPORTED
    assert all(check["fix"] for check in report["checks"] if check["status"] in (WARN, FAIL))
    assert code == (0 if report["ok"] else 1)
    assert report["ok"] is not any(check["status"] == FAIL for check in report["checks"])
    return {check["name"]: check for check in report["checks"]}


@pytest.mark.slow
def test_the_real_report_covers_everything_and_gives_a_fix_for_each_problem(capsys):
    checks = doctor_report(capsys)
    assert checks["numpy"]["status"] == OK and sys.executable in checks["python"]["found"]
    assert checks["checkpoint of --model"]["status"] == OK
    found = checks["checkpoint of --model"]["report"]
    assert found["complete"] and found["compared"] and found["parameters"]["total"] == 4016864
    assert [need["precision"] for need in found["memory"]] == ["fp32", "bf16", "int8", "nf4"]
    assert found["ram_bytes"] > 1e9 and isinstance(found["gpus"], list)


def test_where_no_program_can_be_started_every_part_is_reported_with_a_fix(capsys, monkeypatch):
    monkeypatch.setattr(probes, "run_probe", lambda *_, **__: {"error": "no process could be started"})
    checks = doctor_report(capsys)
    assert checks["checkpoint tabletop"]["status"] == OK and sys.executable in checks["python"]["found"]
    assert checks["numpy"]["status"] == FAIL and "no process" in checks["numpy"]["found"]


# --- The report on a checkpoint ---------------------------------------------------------------------------------

TABLETOP = Path(doctor.__file__).parents[2] / "checkpoints" / "tabletop"


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(TABLETOP, folder))


@pytest.fixture
def in_this_process(monkeypatch):
    """The inspection without a process of its own, which costs seconds to start."""
    probe = lambda _, folder, **_timeout: inspect_checkpoint(folder).to_dict() | {"gpus": []}  # noqa: E731
    monkeypatch.setattr(probes, "run_probe", probe)


def test_a_complete_checkpoint_is_described(in_this_process):
    report = inspected(TABLETOP) | {"ram_bytes": 1_010_000_000, "gpus": [{"name": "thing", "memory_bytes": 13_000_000}]}
    lines = report_lines(report)
    text = "\n".join(lines)
    assert "embedded model" in lines[0] and "6 layers, width 160, 5 heads (1 key-value)" in lines[0]
    assert "4.02 million (language 1.81 million, connector 0.275 million, vision 1.93 million)" in text
    assert "all 207 have the names and shapes" in text and "✗" not in text
    head, _, *rows = lines[next(i for i, line in enumerate(lines) if line.startswith("memory")) :]
    assert "in RAM (1.0 GB)" in head and "on GPU (13.0 MB)" in head
    # Weights and cache; in RAM what is not rounded is float32.
    assert rows[0].split() == ["fp32", "16.1", "MB", "2.3", "MB", "18.4", "MB", "tight", "too", "large"]
    assert rows[1].split() == ["bf16", "8.0", "MB", "1.2", "MB", "9.2", "MB", "fits", "tight"]
    assert [row.split()[0] for row in rows[:4]] == ["fp32", "bf16", "int8", "nf4"]
    assert rows[3].split()[7] == "tight"


def test_everything_wrong_is_listed_with_what_to_do(tmp_path, in_this_process):
    folder = copied(tmp_path / "broken")
    (folder / "tokenizer.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 7}))
    check = doctor._named_checkpoint(str(folder))
    assert check.status == FAIL and "2 problems" in check.found and check.fix and check.report is not None
    text = "\n".join(check.details)
    assert "✗ model.safetensors: 7 tensors of the model are missing: model.transformer.blocks.6." in text
    assert "✗ tokenizer.json: it is missing\n  → download it" in text
    assert text.count("✗") == text.count("→") == 2
    assert "have the names and shapes" not in text and "memory" in text


def test_a_mixture_of_experts_says_how_many_are_active(tmp_path):
    sizes = {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 257, "embedding_size": 264, "additional_vocab_size": 8}
    config = {"model_type": "molmo", "block_type": "moe", "moe_num_experts": 4, "moe_top_k": 2, "mlp_ratio": 1, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    text = "\n".join(report_lines(inspect_checkpoint(tmp_path, use_torch=False).to_dict() | {"ram_bytes": None, "gpus": []}))
    assert "mixture of experts" in text and "4 experts (2 active per token)" in text and "it has no weights" in text


def test_a_probe_that_dies_leaves_names_and_sizes(monkeypatch):
    monkeypatch.setattr(probes, "run_probe", lambda *_, **__: {"error": "crashed with signal 11"})
    check = doctor._named_checkpoint("tabletop")
    assert check.status == OK and "signal 11" in "\n".join(check.details)
    assert check.report is not None and not check.report["compared"] and len(check.report["memory"]) == 4


def test_words_from_files_are_made_harmless(checkpoint):
    (checkpoint / "config.json").write_text(json.dumps({"model_type": "\x1b[31mred\n" + "x" * 1000}))
    report = inspect_checkpoint(checkpoint, use_torch=False).to_dict() | {"ram_bytes": None, "gpus": []}
    assert all("\x1b" not in line and "\n" not in line and len(line) < 400 for line in report_lines(report))


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (999_949, "1.0 MB"), (32.08e9, "32.1 GB"), (146.6e9, "147 GB")],
)
def test_sizes_are_in_powers_of_a_thousand(size, words):
    assert size_words(size) == words
