"""Planner of a Panda: inverse kinematics, straight lines, and collision checks on the way.

The planner has a model of its own, of the arm, the table and boxes. It never sees the simulated world.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from molmo_point.arm.arm import ArmPlanner
from molmo_point.arm.joint_path import JointPath, NoPath, NoPathReason
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arrays import FloatArray
from molmo_point.dependencies import require
from molmo_point.errors import FrameError
from molmo_point.geometry.poses import between
from molmo_point.geometry.rigid import angle_between
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.arm.physics_model import ARM, BOXES, JOINTS, OBSTACLE_PREFIX, TOOL_SITE, plan_spec
from molmo_point.sim.arm.timing import evened, timed
from molmo_point.sim.camera_pose import BASE_FRAME
from molmo_point.sim.mujoco_import import import_mujoco

HOME_RAD = np.array([0.0, -1.146, 0.0, -2.543, 0.0, 1.712, 0.0])
"""Joint angles from which the wrist camera sees the table, radians."""
MARGIN_M = 0.004
"""Clearance of the arm from boxes, meters."""
TOOL_FRAME = "tool"

_ITERATIONS, _SEEDS = 40, 5
_POSITION_M, _TURN_RAD = 5e-4, 5e-3
_LINE_M, _LINE_RAD, _JUMP_RAD = 0.01, 0.06, 0.35
_CHECK_RAD = 0.05


class PandaPlanner(ArmPlanner):
    """Plans for the Panda of `physics_model`, in simulation or in reality.

    Raises:
        DependencyError: mink or tabletask is not installed.
    """

    def __init__(self) -> None:
        mujoco, mink = import_mujoco(), require("mink", "The planner of the simulated arm", "arm")
        self._mujoco = mujoco
        self._model = plan_spec().compile()
        self._data = mujoco.MjData(self._model)
        self._configuration = mink.Configuration(self._model)
        self._tool_task = mink.FrameTask(TOOL_SITE, "site", position_cost=1.0, orientation_cost=0.5, lm_damping=1e-4)
        self._posture_task = mink.PostureTask(self._model, cost=2e-3)
        self._limits = [mink.ConfigurationLimit(self._model)]
        self._mink = mink
        self._boxes = [self._model.geom(f"{OBSTACLE_PREFIX}{number}").id for number in range(BOXES)]
        self._low, self._high = self._model.jnt_range.T
        self._always = self._touching(HOME_RAD)

    def plan(
        self,
        poses: Sequence[Transform],
        start_rad: FloatArray,
        *,
        straight: bool = False,
        obstacles: Sequence[ObstacleBox] = (),
    ) -> JointPath | NoPath:
        """Plan as `ArmPlanner.plan`; of too many obstacles the tallest ones count."""
        for pose in poses:
            if (pose.target, pose.source) != (BASE_FRAME, TOOL_FRAME):
                fix = f"give poses {BASE_FRAME}_T_{TOOL_FRAME}"
                raise FrameError("poses must be of the tool in its base frame", f"{pose.target}_T_{pose.source}", fix)
        self._set_obstacles(obstacles)
        rows: list[FloatArray] = [np.asarray(start_rad, dtype=np.float64)]
        for number, pose in enumerate(poses, start=1):
            found = self._line(pose, rows[-1]) if straight else self._joints(pose, rows[-1])
            if isinstance(found, NoPath):
                return NoPath(found.reason, f"pose {number} of {len(poses)}: {found.message}")
            rows.extend(found)
        return self._finished(np.array(rows))

    def plan_joints(self, goal_rad: FloatArray, start_rad: FloatArray) -> JointPath | NoPath:
        self._set_obstacles(())
        return self._finished(np.array([start_rad, goal_rad], dtype=np.float64))

    def tool_pose(self, joints_rad: FloatArray) -> FloatArray:
        """Homogeneous matrix (4, 4) of the tool in the base frame at joint angles (7,)."""
        self._data.qpos[:] = joints_rad
        self._mujoco.mj_kinematics(self._model, self._data)
        site = self._data.site(TOOL_SITE)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = site.xmat.reshape(3, 3), site.xpos
        return pose

    def _set_obstacles(self, obstacles: Sequence[ObstacleBox]) -> None:
        chosen = sorted(obstacles, key=lambda box: -box.top_m)[:BOXES]
        for geom, box in zip(self._boxes, chosen, strict=False):
            self._model.geom_pos[geom] = box.center_m
            self._model.geom_size[geom] = np.array(box.half_m) + MARGIN_M
            self._model.geom_quat[geom] = (np.cos(box.yaw_rad / 2), 0.0, 0.0, np.sin(box.yaw_rad / 2))
            self._model.geom_rbound[geom] = float(np.linalg.norm(self._model.geom_size[geom]))
        for geom in self._boxes[len(chosen) :]:
            self._model.geom_pos[geom] = (0.0, 0.0, -5.0)
        self._model.geom_sameframe[self._boxes] = 0

    def _solve(self, pose: Transform, seed_rad: FloatArray) -> FloatArray | None:
        """Joint angles (7,) near a seed that bring the tool to a pose; None without any."""
        goal = self._mink.SE3.from_matrix(pose.matrix)
        self._tool_task.set_target(goal)
        self._configuration.update(np.clip(seed_rad, self._low, self._high))
        self._posture_task.set_target(self._configuration.q.copy())
        for _ in range(_ITERATIONS):
            error = self._tool_task.compute_error(self._configuration)
            if np.linalg.norm(error[:3]) < _POSITION_M and np.linalg.norm(error[3:]) < _TURN_RAD:
                return self._configuration.q.copy()
            tasks = [self._tool_task, self._posture_task]
            try:
                step = self._mink.solve_ik(self._configuration, tasks, 1.0, "daqp", limits=self._limits)
            except self._mink.MinkError:
                return None
            largest = float(np.abs(step).max())
            self._configuration.integrate_inplace(step * min(1.0, 0.5 / max(largest, 1e-9)), 1.0)
        return None

    def _finished(self, rows: FloatArray) -> JointPath | NoPath:
        even = evened(rows)
        start_touch = self._touching(even[0])
        for row in _between_rows(even):
            hits = self._touching(row) - self._always - start_touch
            if hits:
                return NoPath(NoPathReason.COLLISION, f"the arm would touch: {'; '.join(sorted(hits)[:3])}")
        return JointPath(JOINTS, even, timed(even).duration_s)

    def _joints(self, pose: Transform, start_rad: FloatArray) -> list[FloatArray] | NoPath:
        """The nearest joint angles for a pose without a contact."""
        rng = np.random.default_rng(0)
        random = [rng.uniform(self._low, self._high) for _ in range(_SEEDS)]
        reached, hits = False, set()
        for seed in (start_rad, HOME_RAD, 0.5 * (HOME_RAD + start_rad), *random):
            found = self._solve(pose, seed)
            if found is None:
                continue
            reached = True
            hits = self._touching(found) - self._always
            if not hits:
                return [found]
        where = np.round(pose.translation_m, 3).tolist()
        if not reached:
            return NoPath(NoPathReason.UNREACHABLE, f"no joint angles bring the tool to {where} m")
        return NoPath(NoPathReason.COLLISION, f"at {where} m the arm would touch: {'; '.join(sorted(hits)[:3])}")

    def _line(self, pose: Transform, start_rad: FloatArray) -> list[FloatArray] | NoPath:
        begin = Transform.from_matrix(pose.target, pose.source, self.tool_pose(start_rad))
        away_m = float(np.linalg.norm(pose.translation_m - begin.translation_m))
        turn_rad = float(angle_between(begin.rotation, pose.rotation))
        steps = max(1, int(np.ceil(max(away_m / _LINE_M, turn_rad / _LINE_RAD))))
        rows, last = [], start_rad
        for share in np.arange(1, steps + 1) / steps:
            found = self._solve(between(begin, pose, float(share)), last)
            if found is None or np.abs(found - last).max() > _JUMP_RAD:
                where = np.round(pose.translation_m, 3).tolist()
                return NoPath(NoPathReason.UNREACHABLE, f"the straight line to {where} m leaves the arm's reach")
            rows.append(found)
            last = found
        return rows

    def _touching(self, joints_rad: FloatArray) -> set[str]:
        """Contacts at joint angles, such as "link6 and table"."""
        self._data.qpos[:] = joints_rad
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_collision(self._model, self._data)
        return {
            " and ".join(sorted(self._part(geom) for geom in contact.geom))
            for contact in self._data.contact[: self._data.ncon]
            if contact.dist < 0
        }

    def _part(self, geom: int) -> str:
        body = self._model.geom_bodyid[geom]
        if body:
            return self._model.body(body).name.removeprefix(ARM).replace("base", "hand")
        return self._model.geom(geom).name.replace("_", " ") or "table"


def _between_rows(rows: FloatArray) -> Any:
    """The rows, with as many rows between them as the collision checks need."""
    for before, after in pairwise(rows):
        steps = max(1, int(np.ceil(np.abs(after - before).max() / _CHECK_RAD)))
        for share in np.arange(1, steps + 1) / steps:
            yield before + share * (after - before)
