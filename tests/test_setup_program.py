"""The set-up programs in ros2_ws: repair of the wheels, stamps, missing packages, and the build."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / "ros2_ws"
sys.path.insert(0, str(WORKSPACE))

import build_interfaces  # noqa: E402
import setup_environment  # noqa: E402
import setup_system  # noqa: E402
import setup_wheels  # noqa: E402

EXPORTED = (
    'set_target_properties(x PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;'
    "/opt/python/cp312-cp312/include/python3.12;"
    '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include")\n'
)


# ------------------------------------------------------------------------------------------------------ the repair


@pytest.fixture
def prefix(tmp_path):
    """An install prefix with one file to repair, one to leave alone, and one that only looks like CMake."""
    folder = tmp_path / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    (folder / "export_pyExport.cmake").write_text(EXPORTED)
    (folder / "plain.cmake").write_text("find_package(ament_cmake)\nset(a /opt/python_tools/include)\n")
    (folder / "note.txt").write_text(EXPORTED)
    return tmp_path


def test_repair_puts_this_machines_headers(prefix):
    changed = setup_wheels.repair_cmake_files(prefix, "/usr/include/python3.12", "/v/numpy/_core/include")
    assert [path.name for path in changed] == ["export_pyExport.cmake"]
    text = changed[0].read_text()
    assert '"${_IMPORT_PREFIX}/include/std_msgs;/usr/include/python3.12;/v/numpy/_core/include"' in text
    assert "/opt/python" not in text


def test_repair_leaves_the_rest_alone(prefix):
    folder = prefix / "share" / "std_msgs" / "cmake"
    before = {name: (folder / name).read_bytes() for name in ("plain.cmake", "note.txt")}
    setup_wheels.repair_cmake_files(prefix, "/a", "/b")
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not list(folder.glob("*.part"))


def test_repair_a_second_time_changes_nothing(prefix):
    assert len(setup_wheels.repair_cmake_files(prefix, "/a", "/b")) == 1
    assert setup_wheels.repair_cmake_files(prefix, "/a", "/b") == []


def test_wheels_of_each_distribution_have_its_names(monkeypatch):
    kilted, jazzy = setup_wheels.wheels("kilted"), setup_wheels.wheels("jazzy")
    assert {"ros-kilted-rclpy", "ros-rmw-fastrtps-cpp", "ros-ament-package"} <= set(kilted)
    assert {"ros-jazzy-rclpy", "ros-jazzy-rmw-fastrtps-cpp", "ros-jazzy-ament-package"} <= set(jazzy)
    assert not [name for name in jazzy if name.startswith("ros-") and not name.startswith("ros-jazzy-")]
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    assert not set(kilted) - pinned, "what make setup installs has its version in constraints.txt"


def test_another_distribution_has_versions_of_its_own(monkeypatch):
    read = []

    def call(command):
        read.append(Path(command[command.index("-c") + 1]).read_text(encoding="utf-8"))
        return 0

    monkeypatch.setattr(setup_wheels.subprocess, "call", call)
    assert setup_wheels.install("jazzy") == setup_wheels.install("kilted") == 0
    jazzy, kilted = read
    assert "ros-rclpy==" in kilted and "ros-" not in jazzy
    assert {line for line in kilted.splitlines() if line.startswith("numpy==")} <= set(jazzy.splitlines())


def test_two_distributions_do_not_mix(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(setup_wheels, "_is_installed", lambda wheel: wheel == "ros-kilted-rclpy")
    monkeypatch.setattr(setup_wheels.subprocess, "call", lambda command: calls.append(command) or 1)
    monkeypatch.setattr(setup_wheels.sys, "prefix", "/v")
    assert setup_wheels.main(["--distro", "jazzy"]) == 1
    assert not calls and "holds ROS 2 kilted" in capsys.readouterr().err
    assert setup_wheels.main(["--distro", "kilted"]) == 1
    assert "ros-kilted-rclpy" in calls[0] and "ros-jazzy-rclpy" not in calls[0]


# ------------------------------------------------------------------------------------------------------- the stamps


def test_digest_changes_with_content_name_and_text(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "x.msg"
    file.write_text("float64 u")
    first = setup_environment.digest("v1", tmp_path / "a")
    assert first == setup_environment.digest("v1", tmp_path / "a")
    assert first != setup_environment.digest("v2", tmp_path / "a")
    file.write_text("float64 v")
    second = setup_environment.digest("v1", tmp_path / "a")
    file.rename(tmp_path / "a" / "y.msg")
    third = setup_environment.digest("v1", tmp_path / "a")
    assert len({first, second, third}) == 3
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "z.pyc").write_text("")
    assert setup_environment.digest("v1", tmp_path / "a") == third
    assert setup_environment.digest(tmp_path / "none") == setup_environment.digest(tmp_path / "none")


def test_stamp_counts_only_with_the_same_value(tmp_path):
    stamp = tmp_path / "deep" / "stamp"
    assert not setup_environment.is_done(stamp, "1")
    setup_environment.mark_done(stamp, "1")
    assert setup_environment.is_done(stamp, "1")
    assert not setup_environment.is_done(stamp, "2")
    assert [path.name for path in stamp.parent.iterdir()] == ["stamp"]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A set-up whose folders are empty ones and whose pip only writes down what it was asked for."""
    asked = []
    monkeypatch.setattr(setup_environment, "ROOT", tmp_path)
    monkeypatch.setattr(setup_environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup_environment, "STAMPS", tmp_path / ".venv" / ".setup")
    monkeypatch.setattr(setup_environment, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(setup_environment, "install_torch", lambda choice: asked.append(("torch", choice)))
    monkeypatch.setattr(setup_environment, "pip", lambda name, *arguments: asked.append(arguments) or 0)
    for name in ("setup.py", "package.xml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path, asked


def test_python_packages_are_installed_once(clone):
    _, asked = clone
    setup_environment.install_python_packages("cpu", "venv")
    count = len(asked)
    assert count == 3 and asked.index(("torch", "cpu")) == 1, "before the package, which would pull another build"
    assert all("-c" in arguments for arguments in asked if arguments[0] != "torch"), "every pip runs under the constraints"
    setup_environment.install_python_packages("cpu", "venv")
    assert len(asked) == count


def test_python_packages_are_installed_again_when_their_description_changes(clone):
    root, asked = clone
    setup_environment.install_python_packages("cpu", "venv")
    for count, name in enumerate(("setup.py", "package.xml", "constraints.txt"), start=2):
        (root / name).write_text("changed")
        setup_environment.install_python_packages("cpu", "venv")
        assert len(asked) == 3 * count, name


def test_failed_pip_leaves_no_stamp_and_says_what_to_do(clone, monkeypatch):
    root, _ = clone

    def fail(name, *arguments):
        log = root / ".venv" / ".setup" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("ERROR: No matching distribution\n")
        return 1

    monkeypatch.setattr(setup_environment, "pip", fail)
    with pytest.raises(setup_system.SetupError, match="No matching distribution"):
        setup_environment.install_python_packages("cpu", "venv")
    assert not (root / ".venv" / ".setup" / "python").exists()


def test_torch_is_never_left_to_pips_own_choice(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_environment, "STAMPS", tmp_path)
    monkeypatch.setattr(setup_environment, "PYTHON", shutil.which("false"))
    (tmp_path / "python.log").write_text("ERROR: none\n")
    attempts = []
    monkeypatch.setattr(setup_environment, "pip", lambda name, *arguments: attempts.append(arguments) or 1)
    with pytest.raises(setup_system.SetupError, match="torch"):
        setup_environment.install_torch("cpu")
    assert attempts and all("--no-deps" in arguments for arguments in attempts), "never pip's own choice of CUDA packages"
    assert all("+cpu" in arguments[1] for arguments in attempts[:2])


# --------------------------------------------------------------------------------------------- the system packages


def nothing_there(monkeypatch, tools):
    """Make setup_system see a machine without libusb, and with these tools only."""
    monkeypatch.setattr(setup_system, "can_load", lambda library: "usb" not in library)
    monkeypatch.setattr(setup_system, "has_egl_driver", lambda: True)
    monkeypatch.setattr(setup_system.shutil, "which", lambda name: f"/usr/bin/{name}" if name in tools else None)
    calls = []
    monkeypatch.setattr(setup_system.subprocess, "call", lambda command, **_: calls.append(command) or 0)
    return calls


def test_missing_library_without_rights(monkeypatch):
    calls = nothing_there(monkeypatch, {"g++", "apt-get"})
    monkeypatch.setattr(setup_system.os, "geteuid", lambda: 1000)
    with pytest.raises(setup_system.SetupError, match=r"libusb-1\.0-0"):
        setup_system.install_system_packages(with_ros=False)
    assert calls == []


@pytest.mark.parametrize(("user", "first"), [(0, "env"), (1000, "sudo")])
def test_missing_library_is_installed(monkeypatch, user, first):
    calls = nothing_there(monkeypatch, {"g++", "apt-get", "sudo"})
    monkeypatch.setattr(setup_system.os, "geteuid", lambda: user)
    setup_system.install_system_packages(with_ros=False)
    assert [command[0] for command in calls] == [first, first]
    assert calls[1][-1] == "libusb-1.0-0" and "install" in calls[1]


def test_nothing_missing_asks_nobody(monkeypatch):
    calls = nothing_there(monkeypatch, set())
    monkeypatch.setattr(setup_system, "can_load", lambda library: True)
    setup_system.install_system_packages(with_ros=False)
    assert calls == []


def test_sourced_ros_of_another_python_is_refused(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(setup_environment.sys, "executable", shutil.which("false"))
    with pytest.raises(setup_system.SetupError, match=r"(?s)ROS 2 jazzy is sourced.*PYTHON=/usr/bin/python3"):
        setup_environment.find_ros()


# ----------------------------------------------------------------------------------------- the build, and ros2_ws/run


def test_build_with_a_sourced_ros_keeps_its_paths():
    sourced = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": "/opt/ros/jazzy", "PYTHONPATH": "/opt/ros/jazzy/lib", "PATH": "/bin"}
    environ = build_interfaces.build_environment(sourced, "/v")
    assert environ == {**sourced, "PATH": f"/v/bin{os.pathsep}/bin"}
    wheels = build_interfaces.build_environment({"PATH": "/bin", "PYTHONPATH": "/x"}, "/v")
    assert wheels["AMENT_PREFIX_PATH"] == wheels["CMAKE_PREFIX_PATH"] == "/v" and "PYTHONPATH" not in wheels


def test_tf2_msgs_is_built_only_where_there_is_none(tmp_path):
    marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "tf2_msgs"
    assert "tf2_msgs" in build_interfaces.build_command({"AMENT_PREFIX_PATH": str(tmp_path)}, "python3")
    marker.parent.mkdir(parents=True)
    marker.write_text("")
    command = build_interfaces.build_command({"AMENT_PREFIX_PATH": str(tmp_path)}, "python3")
    assert "tf2_msgs" not in command and "molmo_point_msgs" in command and "without_ros" not in command


def test_run_passes_arguments_and_exit_code():
    code = "import sys; print(sys.argv[1:]); sys.exit(7)"
    run = subprocess.run([WORKSPACE / "run", sys.executable, "-c", code, "a b", "*"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (7, "['a b', '*']\n")


def test_run_without_an_environment_says_how_to_make_one(tmp_path):
    environ = {**os.environ, "MOLMO_POINT_VENV": str(tmp_path)}
    run = subprocess.run([WORKSPACE / "run", "true"], env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "make setup" in run.stderr
    run = subprocess.run([WORKSPACE / "run"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "usage" in run.stderr


def test_ci_fails_when_no_test_ran():
    environ = {**os.environ, "ARGS": "-q --no-header -p no:cacheprovider -k no_test_has_this_name tests/test_setup_program.py"}
    environ.pop("MAKEFLAGS", None)
    command = ["make", "-s", "-o", "setup", "test", f"ARGS={environ['ARGS']}"]
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode != 0, run.stdout
