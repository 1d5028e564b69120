"""One PointAt goal from its acceptance to its result."""

import dataclasses
import math
from typing import Any

from molmo_point_msgs.action import PointAt
from molmo_point_msgs.msg import PointTargetArray

from molmo_point.depth.lift import MAX_SKEW_S, lift_points
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.propose import propose_grasps
from molmo_point.request import PointRequest, Surface
from molmo_point.results import ImagePoint, Pointing
from molmo_point_ros.conversions import (
    color_from_message,
    grasp_message,
    image_points_message,
    no_grasp_reason,
)
from molmo_point_ros.conversions.field_checks import checked_frame, checked_number, checked_queries, checked_stamp_ns
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.nodes.parameters import gripper_of
from molmo_point_ros.pointing.answers import QueryAnswer, answer_of
from molmo_point_ros.pointing.frame_goal import FrameGoal
from molmo_point_ros.pointing.stamped_frame import StampedFrame


class PointingGoal(FrameGoal):
    """A PointAt goal; see `FrameGoal`."""

    Result, Feedback = PointAt.Result, PointAt.Feedback

    def answer_into(self, result: Any) -> None:
        """Answer every query about one frame; after an error the answers before it stay in the result."""
        requests = self._requests()
        self.tell(state=PointAt.Feedback.WAITING_IMAGE)
        frame = self._given_frame() if self.request.image.data else self._camera_frame()
        # Looked up now, at the capture time: the camera may have moved when the model has answered.
        stamped = self._stamped(frame, self._parameters.level_frame.lstrip("/") if self.request.compute_grasp else "")
        texts: list[str] = []
        answers: list[QueryAnswer] = []
        for request in requests:
            pointing = self._joined(self._point(frame, request), stamped)
            texts.append(pointing.text)
            result.raw_output = "\n".join(texts)
            self._check_motion(stamped)
            if self.should_stop():
                raise self.stopped_error()
            now_ns = self._resources.now_ns()
            answers.append(answer_of(pointing, stamped, self._gates, now_ns))
            result.results.append(answers[-1].message)
            self._resources.publisher.publish_answers(answers[-1:], frame, shown=answers)
            self._resources.monitor.published((now_ns - frame.stamp_ns) * 1e-9, answers[-1].stopped)
            if not pointing.points and not pointing.absent:
                given = f"{pointing.text[:200]!r} ({'; '.join(pointing.problems) or 'no points'})"
                raise GoalError(ErrorCode.PARSE_ERROR, "The model's answer has no points", given, "ask in other words")
        if self.request.compute_grasp:
            self._grasp(answers, stamped, result)

    def _requests(self) -> list[PointRequest]:
        """Return the questions of the goal.

        Raises:
            MolmoPointError: If the goal cannot be used.
        """
        if self.request.compute_grasp and self.request.image.data:
            given = "compute_grasp with an image in the goal"
            raise InputError("Grasps need depth", given, "ask about the camera's image")
        prefer = Surface(self.request.prefer or Surface.NEAR)
        depth_m = checked_number(self.request.reference_depth, "reference_depth") or None
        queries = checked_queries(self.request.queries, self._parameters.max_query_length)
        return [PointRequest(query, max_points=self._max_points(), prefer=prefer, reference_depth_m=depth_m) for query in queries]

    def _camera_frame(self) -> RgbdFrame:
        age_ns = 0 if self.request.use_next_image else round(self._parameters.max_image_age_s * 1e9)
        return self._frame(self._accepted_ns - age_ns)

    def _given_frame(self) -> RgbdFrame:
        image = self.request.image
        stamp_ns = checked_stamp_ns(image.header.stamp, "image.header.stamp")
        if stamp_ns == 0 or not checked_frame(image.header.frame_id, "image.header.frame_id"):
            given = f"stamp {stamp_ns} ns, frame_id {image.header.frame_id!r}"
            raise InputError("The goal's image must have a capture time and a frame", given, "fill its header")
        color = color_from_message(image, max_px=self._parameters.max_image_px)
        return RgbdFrame(color, None, None, stamp_ns, image.header.frame_id)

    def _point(self, frame: RgbdFrame, request: PointRequest) -> Pointing:
        def on_points(points: tuple[ImagePoint, ...]) -> None:
            partial = image_points_message(request.words, self._pointer.backend.name, points, frame)
            self.tell(state=PointAt.Feedback.GENERATING, partial=partial, points_so_far=len(partial.targets))

        self.tell(state=PointAt.Feedback.ENCODING, partial=PointTargetArray(), points_so_far=0)
        pointing = self._asked(lambda: self._pointer.point(frame, request, should_stop=self._told_stop(), on_points=on_points))
        self.tell(state=PointAt.Feedback.LIFTING)
        if abs(frame.skew_s) <= min(self._parameters.max_skew_s, MAX_SKEW_S):
            return pointing
        # The pointer has lifted the points with the SDK's limit of the skew; the node has another one.
        found = lift_points(
            pointing.points,
            frame,
            max_skew_s=self._parameters.max_skew_s,
            prefer=request.prefer,
            reference_depth_m=request.reference_depth_m,
        )
        return dataclasses.replace(pointing, found=found)

    def _joined(self, pointing: Pointing, stamped: StampedFrame) -> Pointing:
        """Join the answer with those about earlier views, for a camera without depth."""
        if stamped.world_T_camera is None:
            return pointing
        return self._resources.views.join(pointing, stamped.frame, stamped.world_T_camera, self._parameters.triangulate_s)

    def _grasp(self, answers: list[QueryAnswer], stamped: StampedFrame, result: PointAt.Result) -> None:
        """Propose grasps of every target that no gate stops, best first; a target without one gets the reason."""
        found = []
        for answer in answers:
            told = [target for target in answer.message.targets if target.gate == target.GATE_OPEN]
            told = [target for target in told if math.isfinite(target.position.x)]
            for target, message in zip(answer.camera_targets, told, strict=True):
                if self.should_stop():
                    raise self.stopped_error()
                grasps = propose_grasps(
                    stamped.frame,
                    target,
                    gripper=gripper_of(self._parameters),
                    base_T_camera=stamped.level_T_camera,
                    max_candidates=max(int(self.request.max_grasps), 1),
                    others=[(each.point.u, each.point.v) for each in answer.found if each.target is not target],
                )
                message.reason = no_grasp_reason(grasps)
                found += [grasp_message(grasp, target, grasps, stamped.target_T_camera) for grasp in grasps.candidates]
        result.grasps = sorted(found, key=lambda grasp: -grasp.quality)

    def _check_motion(self, stamped: StampedFrame) -> None:
        at_capture, limit_m = stamped.target_T_camera, self._parameters.max_camera_motion_m
        if at_capture is None or limit_m <= 0:
            return
        now = self._resources.transforms.lookup(at_capture.target, stamped.frame.frame, None)
        moved_m = math.dist(now.translation_m, at_capture.translation_m)
        if moved_m > limit_m:
            given = f"{moved_m * 1e3:.1f} mm in {at_capture.target!r}, allowed {limit_m * 1e3:.1f} mm"
            fix = "hold the camera still, or raise max_camera_motion_m"
            raise GoalError(ErrorCode.CAMERA_MOVED, "The camera moved between capture and answer", given, fix)
