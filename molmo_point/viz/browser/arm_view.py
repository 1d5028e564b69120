"""A simulated arm on the page: its moving shapes, the cameras' looks, targets and grasps."""

import time

import numpy as np

from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.states import PickEvent, PickState
from molmo_point.results import Count, Pointing, Target
from molmo_point.sim.arm.drawing import body_shapes, shape_pose
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.viz.browser.page import Page
from molmo_point.viz.grasp import BEST, gripper_corners
from molmo_point.viz.overlay import draw_pointing
from molmo_point.viz.point_cloud import cloud_of, ellipsoid_surface
from molmo_point.viz.scene3d import SIGMAS
from molmo_point.viz.text import AMBER, GRAY

_PERIOD_S = 0.08
_CANDIDATES = 5
_RINGS = 13
_MOVED_M = 5e-4
# Bit k of a corner's number is set at the upper end of axis k.
_EDGES = [(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit]


class ArmOnPage:
    """Keeps a page up to date with an arm."""

    def __init__(self, arm: SimulatedArm, page: Page) -> None:
        self._arm, self._page = arm, page
        self._due_s = 0.0
        self._names = {arm.view(name).frame: f"{name} camera" for name in ("fixed", "wrist")}
        self._at: dict[str, np.ndarray] = {}
        self._shapes = body_shapes(arm)
        with page.update():
            for shape in self._shapes:
                page.body(shape.name, shape.vertices_m, shape.faces, shape.rgb)
        self.tick(arm)

    def tick(self, arm: SimulatedArm) -> None:
        """Move the shapes that moved, at most a dozen times per second; for `SimulatedArm(on_tick=...)`."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + _PERIOD_S
        with self._page.update():
            for shape in self._shapes:
                rotation, position = shape_pose(arm, shape)
                pose = np.concatenate([rotation.ravel(), position])
                before = self._at.get(shape.name)
                if before is None or float(np.abs(pose - before).max()) > _MOVED_M:
                    self._at[shape.name] = pose
                    self._page.move(shape.name, rotation, position)

    def answered(self, frame: RgbdFrame, answer: Pointing | Count) -> None:
        """Show an image with its points, the cautions, and its cloud; for `WatchedPointer`."""
        name = self._names.get(frame.frame, "camera")
        self._page.image(name, draw_pointing(frame.color, answer))
        self._page.show_cautions([f"“{answer.query}”: {caution}" for caution in answer.cautions])
        if frame.depth_m is None or frame.intrinsics is None:
            return
        points, colors, _ = cloud_of(frame)
        pose = self._arm.base_T_camera(frame.frame, frame.stamp_ns)
        step = max(len(points) // 40_000, 1)
        self._page.cloud(name.replace(" ", "_"), pose.apply(points[::step], frame.frame), colors[::step])

    def happened(self, event: PickEvent) -> None:
        """Show an event: its words, the target's ellipsoid, and grasps."""
        self._page.say(f"{event.state.name.lower().replace('_', ' ')}: {event.message}")
        if event.candidates:
            self._draw_grasps(event.candidates, None)
        if event.target is not None and event.state < PickState.LIFT:
            self._draw_target(event.target)
        if event.grasp is not None and event.state < PickState.LIFT:
            self._draw_grasps(event.candidates, event.grasp)
        if event.state in (PickState.LIFT, PickState.PLACE):
            self._page.replace("targets")
            self._page.replace("grasps")

    def _draw_target(self, target: Target) -> None:
        drawn = self._page.replace("targets")
        drawn.mesh(*_ellipsoid(target), AMBER, 0.7)
        drawn.label(f"{target.label} ± {target.sigma_m * 1e3:.0f} mm", target.position_m)

    def _draw_grasps(self, candidates: tuple[GraspCandidate, ...], best: GraspCandidate | None) -> None:
        drawn = self._page.replace("grasps")
        for grasp in candidates[:_CANDIDATES]:
            drawn.lines(_edges(grasp, self._arm), GRAY, 1.0)
        if best is not None:
            drawn.lines(_edges(best, self._arm), BEST, 3.0)


def _edges(grasp: GraspCandidate, arm: SimulatedArm) -> np.ndarray:
    """Edges (36, 2, 3) of the boxes of the open gripper at a grasp, meters."""
    corners = gripper_corners(grasp, arm.gripper)
    return corners[:, _EDGES].reshape(-1, 2, 3).astype(np.float32)


def _ellipsoid(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a target's ellipsoid, as a grid from pole to pole."""
    columns = 2 * _RINGS - 1
    points = ellipsoid_surface(target.position_m, target.covariance_m2, SIGMAS, _RINGS)
    rows, places = np.meshgrid(np.arange(_RINGS - 1), np.arange(columns - 1), indexing="ij")
    corner = (rows * columns + places).ravel()
    faces = corner[:, None, None] + [[0, columns, 1], [1, columns, columns + 1]]
    return points.astype(np.float32), faces.reshape(-1, 3).astype(np.int32)
