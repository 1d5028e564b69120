"""Arms by name: the registry, a factory of one's own, and the defaults of a driver."""

import subprocess
import sys

import numpy as np
import pytest

from molmo_point.arm import arm_registry as registry
from molmo_point.arm.arm import ArmDriver
from molmo_point.arm.arm_registry import ArmEntry, open_arm, register, usage
from molmo_point.errors import DependencyError, InputError

from .still_arm import StillArm

FACTORY = "tests.arm.still_arm:open_still_arm"


@pytest.fixture
def still():
    register(ArmEntry("still", FACTORY, "arm that stands still", ("pace",)))
    yield
    del registry.ARMS["still"]


def test_an_entry_is_all_that_an_arm_needs(still):
    assert "still" in usage()
    ticks = []
    with open_arm("still", {"pace": 2.0, "scene_seed": 3}, on_tick=ticks.append) as arm:
        assert isinstance(arm, StillArm)
        assert arm.pace == 2.0
        arm.wait(0.1)
    assert ticks == [arm]
    assert arm.closed


def test_a_factory_of_ones_own_needs_no_entry():
    assert open_arm(FACTORY, {"pace": 2.0}).pace == 0.0


@pytest.mark.parametrize(
    ("name", "error"), [("panda", InputError), ("nowhere_at_all:make", DependencyError), ("tests.arm.still_arm:none", InputError)]
)
def test_an_unknown_arm_is_refused(name, error):
    with pytest.raises(error):
        open_arm(name)


def test_a_driver_has_defaults_for_all_that_it_need_not_do():
    class Bare(StillArm):
        now_ns, open_camera, wait, close = ArmDriver.now_ns, ArmDriver.open_camera, ArmDriver.wait, ArmDriver.close

    with Bare() as arm:
        assert arm.now_ns() > 0
        assert arm.tool_T_camera("fixed") is None
        assert arm.grasp_T_tool(0.03).translation_m == pytest.approx(np.zeros(3))
        arm.spend_answer_time()
        arm.wait(0.0)
        with pytest.raises(InputError, match="camera of the arm"):
            arm.open_camera("fixed")


def test_an_arm_plans_from_where_it_is():
    class Planner:
        def plan(self, poses, start_rad, *, straight, obstacles):
            return poses, start_rad.tolist(), straight, obstacles

        def plan_joints(self, goal_rad, start_rad):
            return goal_rad.tolist(), start_rad.tolist()

    arm = StillArm(planner=Planner())
    assert arm.plan(["pose"]) == (["pose"], [0.0], False, ())
    assert arm.plan(["pose"], np.ones(1), straight=True) == (["pose"], [1.0], True, ())
    assert arm.plan_home() == ([0.0], [0.0])


def test_the_names_of_the_simulated_arm_are_lazy():
    code = "import sys, molmo_point.sim.arm as arm; assert 'mujoco' not in sys.modules; arm.SimulatedArm, arm.random_arm_layout"
    subprocess.run([sys.executable, "-c", code], check=True)
