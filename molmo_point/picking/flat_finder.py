"""Search for objects with cameras without depth: the wrist camera looks from several places, and the views are triangulated.

Obstacles are not seen. Everything on the table counts as tall as `PickSettings.assumed_height_m`; the arm stays above that
until it goes straight down around the outline of the object.
"""

import math
from dataclasses import replace

import numpy as np

from molmo_point.arm.obstacle_boxes import REACH_M, ObstacleBox
from molmo_point.depth.lift import pixel_covariance
from molmo_point.depth.triangulation import CameraView, SeenPoint, Triangulated, triangulate
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.known_plane import KnownPlane
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.silhouette import grasps_from_above
from molmo_point.picking.event_log import EventLog, PickStopped
from molmo_point.picking.object_search import Finder, Search
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.picking.views import Sighting
from molmo_point.results import DepthStatus, ImagePoint

LOOKS = (3, 1, 2, 0)
"""Numbers of the directions of the looks: nearly from above, then from aside."""
_LEAST_VIEWS = 3
_ABOVE_M = 0.03
"""Distance of the fingers above the assumed height at the start of the descent, meters."""


class FlatFinder(Finder):
    """A `Finder` that uses no depth; arguments as there."""

    def search(self, query: str, log: EventLog, state: PickState) -> Search:
        """Ask the model about both cameras, without moving; targets are on the table's plane.

        Raises:
            PickStopped: As `Finder.search`; NO_DEPTH without a wrist camera, since one view does not tell a height.
        """
        if self._wrist is None:
            said = "without depth a wrist camera must look from several places, and there is none"
            raise PickStopped(PickFailure.NO_DEPTH, said, again=False)
        return super().search(query, log, state)

    def look_again(self, search: Search, first: int) -> None:
        """Look from several places, and triangulate what all of them point at.

        Raises:
            PickStopped: WRONG_OBJECT if too few views agree, NO_DEPTH without parallax; or as `Finder.look_again`.
        """
        at_m = search.chosen.target.position_m
        sightings = list(search.sightings)
        for number in LOOKS:
            answer = self._look(search, at_m, self._settings.stand_off_m, f"direction {number}", number + first)
            if isinstance(answer, Sighting):
                sightings.append(answer)
                found = self._joined(sightings)
                if found.status is DepthStatus.TRIANGULATED:
                    at_m = found.position_m
        found = self._joined(sightings)
        agreed = [each for each, match in zip(sightings[::-1], found.matches) if match is not None]
        if found.status is not DepthStatus.TRIANGULATED or len(agreed) < _LEAST_VIEWS:
            failure = PickFailure.NO_DEPTH if found.status is DepthStatus.NO_PARALLAX else PickFailure.WRONG_OBJECT
            said = found.message or f"only {len(agreed)} of {len(sightings)} views agree"
            raise PickStopped(failure, f"the views do not tell where {search.query!r} is: {said}")
        above = max(agreed, key=lambda each: -float(each.base_T_camera.rotation[2, 2]))
        search.sightings = [_placed(each, found) for each in agreed]
        search.chosen = _placed(above, found)
        self._require_confidence(search, [])
        sigma_mm = 1e3 * search.chosen.target.sigma_m
        search.note(f"{len(agreed)} of {len(sightings)} views agree on its place, with an error of {sigma_mm:.0f} mm")

    def grasps(self, sighting: Sighting) -> tuple[Grasps, tuple[GraspCandidate, ...]]:
        """Find grasps straight down around the object's outline: as found, and in the base frame."""
        pose, gripper = sighting.base_T_camera, self._arm.gripper
        at_m = sighting.target.position_m
        descent_m = self._settings.assumed_height_m + _ABOVE_M
        uv = np.array([sighting.in_camera.u, sighting.in_camera.v])
        found = grasps_from_above(sighting.frame, uv, at_m, pose, self._arm.table_z_m, gripper, descent_m)
        return found, tuple(candidate.transformed(pose) for candidate in found.candidates)

    def read_fixed(self) -> RgbdFrame:
        """Read the next frame of the fixed camera, and leave out its depth."""
        return self._flat(self._fixed.read())

    def _obstacles(self, overview: RgbdFrame) -> tuple[ObstacleBox, ...]:
        half_m = 0.5 * self._settings.assumed_height_m
        return (ObstacleBox((0.0, 0.0, self._arm.table_z_m + half_m), (REACH_M, REACH_M, half_m)),)

    def _prepared(self, frame: RgbdFrame) -> RgbdFrame:
        return self._flat(frame)

    def _flat(self, frame: RgbdFrame) -> RgbdFrame:
        pose = self._arm.base_T_camera(frame.frame, frame.stamp_ns)
        plane = KnownPlane.level(pose.target, self._arm.table_z_m).transformed(pose.inverse())
        return replace(frame, depth_m=None, depth_stamp_ns=None, plane=plane)

    def _joined(self, sightings: list[Sighting]) -> Triangulated:
        """Triangulate the views, the last one first: it is the nearest."""
        return triangulate([_camera_view(sighting) for sighting in sightings[::-1]])[0]


def _camera_view(sighting: Sighting) -> CameraView:
    frame, seen = sighting.frame, sighting.in_camera
    assert frame.intrinsics is not None
    point = ImagePoint(seen.u, seen.v, seen.label, seen.confidence)
    where = SeenPoint(point.uv, pixel_covariance(point, frame.size_wh))
    return CameraView(frame.intrinsics, sighting.base_T_camera, (where,))


def _placed(sighting: Sighting, found: Triangulated) -> Sighting:
    """Return a sighting with the triangulated place."""
    pose = sighting.base_T_camera
    exact = Transform(pose.target, pose.source, pose.rotation, pose.translation_m).inverse()
    target = replace(
        sighting.target,
        position_m=found.position_m,
        covariance_m2=found.covariance_m2,
        depth_status=DepthStatus.TRIANGULATED,
        alternate_depth_m=math.nan,
    )
    in_camera = replace(target.transformed(exact), u=sighting.in_camera.u, v=sighting.in_camera.v)
    return replace(sighting, target=target, in_camera=in_camera)
