# `make demo` and `make test` run `make setup` first; a finished set-up is not repeated.
#
#   PYTHON=python3.12   Python of .venv (3.10 to 3.13)
#   TORCH=default       PyTorch of the index, with CUDA (several GB); TORCH=skip: install it yourself; default: TORCH=cpu

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint clean distclean

TORCH ?= $(or $(MOLMO_POINT_TORCH),cpu)
RUN := ros2_ws/run

# The demo and the tests never download models, and render without a screen.
export HF_HUB_OFFLINE ?= 1
export MUJOCO_GL ?= egl

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv, install everything into it, build the ROS 2 interfaces
	@python="$(PYTHON)"; \
	old='import sys; sys.exit(not (3, 10) <= sys.version_info[:2])'; \
	new='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'; \
	if [ -z "$$python" ] && [ -n "$$ROS_DISTRO" ] && /usr/bin/python3 -c "$$old" 2>/dev/null; then python=/usr/bin/python3; fi; \
	for try in python3 python3.12 python3.11 python3.13 python3.10; do \
		if [ -z "$$python" ] && $$try -c "$$new" 2>/dev/null; then python=$$try; fi; \
	done; \
	if [ -z "$$python" ] && python3 -c "$$old" 2>/dev/null; then python=python3; fi; \
	if [ -z "$$python" ]; then \
		echo "molmo-point needs Python 3.10 or newer, and none was found."; \
		echo "    what to do: apt-get install python3 python3-venv (Debian 12, Ubuntu 22.04 or newer), or make setup PYTHON=/path/to/python"; \
		exit 1; \
	fi; \
	$$python ros2_ws/setup_environment.py --torch $(TORCH)

demo: setup  ## move a simulated arm by a typed command over ROS 2, and draw a video
	@$(RUN) python demos/02_pick_and_place.py

# Two processes, because one with librealsense, MuJoCo, torch and Fast DDS crashes at exit, after its tests.
ROS_TESTS := tests/ros tests/test_interfaces.py
PYTEST := ROS_AUTOMATIC_DISCOVERY_RANGE=$${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST} $(RUN) python -m pytest

test: setup  ## run the test suite
ifneq ($(findstring tests/,$(ARGS)),)
	@$(PYTEST) $(ARGS)
else
	@$(PYTEST) $(addprefix --ignore=,$(ROS_TESTS)) $(ARGS); code=$$?; \
	$(PYTEST) $(ROS_TESTS) $(ARGS) && exit $$code
endif

lint: setup  ## run ruff and pyright
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) pyright

clean:  ## remove outputs and builds (not .venv)
	rm -rf out build dist *.egg-info ros2_ws/build ros2_ws/install ros2_ws/log .pytest_cache .ruff_cache .hypothesis
	find molmo_point tests demos calibration ros2_ws -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## remove .venv as well
	rm -rf .venv
