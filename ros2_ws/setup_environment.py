#!/usr/bin/env python3
"""Set up a fresh clone: `make setup`.

    python3 ros2_ws/setup_environment.py [--torch cpu|default|skip] [--without-ros]

The set-up has five steps. Each finished step writes a stamp with a hash of its inputs. A second run finds the stamps
and does nothing: it needs no network and no rights. An interrupted run continues where it stopped. The program uses
the standard library only. Outside the repository it only installs missing system packages, with apt.

--torch selects the build of PyTorch: cpu (the small CPU build), default (the build of the index, with CUDA, several
GB), or skip (you install it yourself). MOLMO_POINT_TORCH sets the default.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent
sys.path.insert(0, str(WORKSPACE))

if sys.version_info < (3, 10):  # noqa: UP036 - a machine with an older Python runs this program first
    sys.exit(
        f"molmo-point needs Python 3.10 or newer, this is {platform.python_version()} ({sys.executable}).\n"
        "    what to do: install a newer one, for example apt-get install python3.11, then: make setup PYTHON=python3.11"
    )

import setup_wheels  # noqa: E402
from setup_system import SetupError, install_system_packages  # noqa: E402

ROOT = WORKSPACE.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".setup"
PYTHON = VENV / "bin" / "python"
EXTRAS = "arm,bag,cloud,formats,realsense,sim,test,tracking,video,view"
EXTRAS_WITH_TORCH = "model,quantization,train"
TORCH = "torch==2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
STEPS = 5


# ---------------------------------------------------------------------------------------------------------- stamps


def digest(*parts):
    """Hash texts, and files and folders (Path) with their names; missing ones count as empty."""
    sha = hashlib.sha256()
    for part in parts:
        if not isinstance(part, Path):
            sha.update(f"text {part}\n".encode())
            continue
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if path.is_file() and "__pycache__" not in path.parts:
                sha.update(f"file {path.relative_to(part.parent)}\n".encode() + path.read_bytes())
    return sha.hexdigest()


def is_done(stamp, value):
    """Test if the stamp file holds this value."""
    try:
        return stamp.read_text(encoding="utf-8") == value
    except OSError:
        return False


def mark_done(stamp, value):
    """Write the stamp atomically, so that an interruption leaves the old one or the new one."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    part = stamp.with_name(stamp.name + ".part")
    part.write_text(value, encoding="utf-8")
    os.replace(part, stamp)


# ------------------------------------------------------------------------------------------------------- processes


def say(text):
    """Print one line of progress."""
    print(text, flush=True)


def run_logged(name, command, **options):
    """Run a command with its output in .venv/.setup/NAME.log, and print a dot every ten seconds.

    Returns the exit code. Ending the set-up ends the command as well.
    """
    STAMPS.mkdir(parents=True, exist_ok=True)
    with open(STAMPS / f"{name}.log", "ab") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        log.flush()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        dots = 0
        try:
            while True:
                try:
                    return process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    print("      " * (not dots) + ".", end="", flush=True)
                    dots += 1
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            if dots:
                print(flush=True)


def log_tail(name, lines=25):
    """Read the end of a step's log, indented."""
    text = (STAMPS / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return "".join(f"      | {line}\n" for line in text.splitlines()[-lines:] if "is ignored: it is neither" not in line)


def pip(name, *arguments):
    """Run pip of the virtual environment with its output in the step's log. Returns the exit code."""
    command = [str(PYTHON), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    environ = {**os.environ, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # packages of a sourced ROS 2 would count as installed
    environ.pop("PYTHONPATH", None)
    return run_logged(name, command, cwd=ROOT, env=environ)


# ----------------------------------------------------------------------------------- 2. and 3. environment, Python


def make_venv():
    """Make .venv with this Python, unless a complete one of this Python version exists."""
    value = f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT}"
    if is_done(STAMPS / "venv", value) and PYTHON.exists():
        say(f"[2/{STEPS}] virtual environment: done")
        return value
    probe = "import pip, sys; print('%d.%d' % sys.version_info[:2], end='')"
    if PYTHON.exists():
        found = subprocess.run([str(PYTHON), "-c", probe], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout == value.split()[0]:
            mark_done(STAMPS / "venv", value)
            say(f"[2/{STEPS}] virtual environment: using the one in .venv")
            return value
    say(f"[2/{STEPS}] making the virtual environment .venv with Python {platform.python_version()}")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        version = value.split()[0]
        raise SetupError(
            "the virtual environment .venv cannot be made", f"apt-get install python{version}-venv; then run this again"
        )
    mark_done(STAMPS / "venv", value)
    return value


def install_torch(choice):
    """Install the pinned PyTorch; the CPU build from the configured index, else from PyTorch's own."""
    probe = f"import importlib.metadata as m; v = m.version('torch'); raise SystemExit(v.split('+')[0] != '{TORCH[7:]}')"
    if choice == "skip" or subprocess.run([str(PYTHON), "-c", probe], capture_output=True).returncode == 0:
        return
    attempts = {
        "cpu": [[f"{TORCH}+cpu"], [f"{TORCH}+cpu", "--index-url", TORCH_CPU_INDEX, "--timeout", "20", "--retries", "1"]],
        "default": [[TORCH]],
    }[choice]
    if platform.machine() == "aarch64":
        attempts = [*attempts, [TORCH]]
    # without its dependencies: the next command installs them under the constraints
    if not any(pip("python", "--no-deps", *attempt) == 0 for attempt in attempts):
        raise SetupError(
            f"the {choice} build of {TORCH} cannot be installed for Python {platform.python_version()}:\n{log_tail('python', 8)}",
            f"check the network; or install {TORCH} into .venv yourself; or `make setup TORCH=default` for the build with CUDA",
        )


def install_python_packages(choice, before):
    """Install PyTorch, then this package in place with its dependencies, in the versions of constraints.txt."""
    value = digest(before, choice, EXTRAS, EXTRAS_WITH_TORCH, ROOT / "setup.py", ROOT / "package.xml", ROOT / "constraints.txt")
    if is_done(STAMPS / "python", value):
        say(f"[3/{STEPS}] Python packages: done")
        return value
    say(f"[3/{STEPS}] installing Python packages (about 3 min, 2 GB on disk; log: .venv/.setup/python.log)")
    constraints = ["-c", str(ROOT / "constraints.txt")]
    failed = pip("python", *constraints, "setuptools", "wheel")
    if not failed:
        install_torch(choice)
        extras = EXTRAS if choice == "skip" else f"{EXTRAS},{EXTRAS_WITH_TORCH}"
        more = [] if choice != "skip" else ["transformers", "safetensors", "tokenizers", "tqdm"]
        failed = pip("python", *constraints, "--no-build-isolation", "-e", f"{ROOT}[{extras}]", *more)
    if failed:
        fix = "check the network and run this again: it continues. The complete log is .venv/.setup/python.log"
        raise SetupError(f"pip failed:\n{log_tail('python')}", fix)
    mark_done(STAMPS / "python", value)
    return value


# ----------------------------------------------------------------------------------------------------- 4. and 5. ROS


def find_ros():
    """Find ROS 2: return "sourced", "wheels" or "none", and the reason for "none"."""
    if os.environ.get("ROS_DISTRO"):
        if subprocess.run([sys.executable, "-c", "import rclpy"], capture_output=True).returncode:
            distro = os.environ["ROS_DISTRO"]
            raise SetupError(
                f"ROS 2 {distro} is sourced (ROS_DISTRO={distro}), but {sys.executable} cannot import its rclpy",
                "use the Python of this ROS 2: make setup PYTHON=/usr/bin/python3; or open a shell without it",
            )
        return "sourced", ""
    reason = setup_wheels.wheels_exist()
    return ("none", reason) if reason else ("wheels", "")


def install_ros(kind, reason, before):
    """Install ROS 2 into the virtual environment, unless one is sourced."""
    try:
        distribution = setup_wheels.chosen_distribution(os.environ)
    except ValueError as error:
        raise SetupError(str(error), f"ROS_WHEELS={setup_wheels.DISTRIBUTIONS[0]} make setup, or omit it") from None
    value = digest(before, kind, os.environ.get("ROS_DISTRO", ""), distribution, WORKSPACE / "setup_wheels.py")
    if kind == "none":
        say(f"[4/{STEPS}] ROS 2: skipped. {reason}.")
        say("      Everything else works. To use ROS 2, install and source it, then run this again.")
    elif kind == "sourced":
        say(f"[4/{STEPS}] ROS 2: using the sourced {os.environ['ROS_DISTRO']}")
        if not any(shutil.which("colcon", path=path) for path in (os.environ["PATH"], str(PYTHON.parent))):
            pip("ros", "-c", str(ROOT / "constraints.txt"), "--no-build-isolation", "colcon-common-extensions")
    elif is_done(STAMPS / "ros", value):
        say(f"[4/{STEPS}] ROS 2 from wheels: done")
    else:
        say(f"[4/{STEPS}] installing ROS 2 {distribution.capitalize()} from wheels (about 1 min; log: .venv/.setup/ros.log)")
        if run_logged("ros", [str(PYTHON), str(WORKSPACE / "setup_wheels.py"), "--distro", distribution], cwd=ROOT):
            raise SetupError(f"the ROS 2 wheels cannot be installed:\n{log_tail('ros')}", "check the network and run this again")
        mark_done(STAMPS / "ros", value)
    return value


def build_interfaces(kind, before):
    """Build the workspace's messages and actions into ros2_ws/install."""
    stamp = WORKSPACE / "install" / ".molmo_point_interfaces"
    sources = (WORKSPACE / "src" / "molmo_point_msgs", WORKSPACE / "without_ros", WORKSPACE / "build_interfaces.py")
    value = digest(before, *sources)
    if kind == "none":
        say(f"[5/{STEPS}] ROS 2 interfaces: skipped without ROS 2")
    elif is_done(stamp, value):
        say(f"[5/{STEPS}] ROS 2 interfaces: done")
    else:
        say(f"[5/{STEPS}] building the ROS 2 interfaces (about 1 min; log: .venv/.setup/interfaces.log)")
        if run_logged("interfaces", [str(PYTHON), str(WORKSPACE / "build_interfaces.py")]):
            raise SetupError(f"colcon cannot build the interfaces:\n{log_tail('interfaces')}", "read .venv/.setup/interfaces.log")
        mark_done(stamp, value)


def install_commit_hook(root):
    """Let git check the subjects of commits, in a checkout that has no hooks of its own."""
    if not (root / ".git").exists() or not shutil.which("git"):
        return
    found = subprocess.run(["git", "config", "--get", "core.hooksPath"], cwd=root, capture_output=True)
    if found.returncode == 1:  # not set
        subprocess.run(["git", "config", "core.hooksPath", ".githooks"], cwd=root, capture_output=True)


def set_up(torch_choice, with_ros):
    """Run the five steps. Raises SetupError."""
    install_commit_hook(ROOT)
    kind, reason = find_ros() if with_ros else ("none", "Requested by --without-ros")
    say(f"[1/{STEPS}] system packages")
    install_system_packages(kind != "none")
    before = install_python_packages(torch_choice, make_venv())
    build_interfaces(kind, install_ros(kind, reason, before))


def main(arguments):
    """Set up; one run at a time per clone. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--torch", choices=("cpu", "default", "skip"), default=os.environ.get("MOLMO_POINT_TORCH") or "cpu")
    parser.add_argument("--without-ros", action="store_true", help="skip ROS 2")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    lock = os.open(WORKSPACE, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        set_up(options.torch, not options.without_ros)
    except SetupError as error:
        say(f"set-up stopped: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nset-up interrupted. Run it again to continue.")
        return 130
    finally:
        os.close(lock)
    say(f"set-up is complete ({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
