"""One PointAt goal from its acceptance to its result."""

import dataclasses
import math

import numpy as np
from molmo_point_msgs.action import PointAt
from molmo_point_msgs.msg import PointTargetArray

from molmo_point.depth.lift import MAX_SKEW_S, check_lifting, lift_points
from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.propose import propose_grasps
from molmo_point.results import ImagePoint, Pointing
from molmo_point_ros.conversions import (
    color_from_message,
    grasp_message,
    image_points_message,
    no_grasp_reason,
    stamp_to_ns,
)
from molmo_point_ros.nodes.goal_error import CODES, GoalError
from molmo_point_ros.nodes.parameters import gripper_of
from molmo_point_ros.pointing.action_goal import ActionGoal, checked_queries
from molmo_point_ros.pointing.answers import Answer, answer_of
from molmo_point_ros.pointing.stamped_frame import Capture


class PointingGoal(ActionGoal):
    """A PointAt goal; see `ActionGoal`."""

    Result, Feedback = PointAt.Result, PointAt.Feedback

    def _answer_into(self, result: PointAt.Result) -> None:
        queries = checked_queries(list(self._request.queries), self._settings.max_query_length)
        self._check_lifting()
        self.tell(state=PointAt.Feedback.WAITING_IMAGE)
        frame = self._given_frame() if self._request.image.data else self._camera_frame()
        # Frozen now, at the capture time: when the model has answered, the camera may be elsewhere.
        capture = self._freeze(frame, self._settings.level_frame.lstrip("/") if self._request.compute_grasp else "")
        texts: list[str] = []
        answers: list[Answer] = []
        for query in queries:
            pointing = self._point(frame, query)
            texts.append(pointing.text)
            result.raw_output = "\n".join(texts)
            self._check_motion(capture)
            if self.should_stop():
                raise self._stopped()
            now_ns = self._parts.now_ns()
            answers.append(answer_of(pointing, capture, self._gates, now_ns))
            result.results.append(answers[-1].message)
            self._parts.publisher.publish_answers(answers[-1:], frame, shown=answers)
            self._parts.monitor.published((now_ns - frame.stamp_ns) * 1e-9, answers[-1].stopped)
            if not pointing.points and not pointing.absent:
                given = f"{pointing.text[:200]!r} ({'; '.join(pointing.problems) or 'no points'})"
                raise GoalError(CODES.PARSE_ERROR, "The model's answer has no points", given, "ask in other words")
        if self._request.compute_grasp:
            self._grasp(answers, capture, result)

    def _check_lifting(self) -> None:
        try:
            check_lifting(self._prefer, self._reference_depth_m)
        except InputError as error:
            raise GoalError(CODES.GOAL_REJECTED, error.what, error.given, error.fix) from error
        if self._request.compute_grasp and self._request.image.data:
            given = "compute_grasp with an image in the goal"
            raise GoalError(CODES.GOAL_REJECTED, "Grasps need depth", given, "ask about the camera's image")

    @property
    def _prefer(self) -> str:
        return self._request.prefer or "near"

    @property
    def _reference_depth_m(self) -> float | None:
        return float(self._request.reference_depth) or None

    def _camera_frame(self) -> RgbdFrame:
        age_ns = 0 if self._request.use_next_image else round(self._settings.max_image_age_s * 1e9)
        return self._frame(self._accepted_ns - age_ns)

    def _given_frame(self) -> RgbdFrame:
        image = self._request.image
        stamp_ns = stamp_to_ns(image.header.stamp)
        if stamp_ns <= 0 or not image.header.frame_id:
            given = f"stamp {stamp_ns} ns, frame_id {image.header.frame_id!r}"
            raise GoalError(CODES.GOAL_REJECTED, "The goal's image has no capture time or frame", given, "fill its header")
        try:
            color = color_from_message(image, max_px=self._settings.max_image_px)
            return RgbdFrame(color, None, None, stamp_ns, image.header.frame_id)
        except InputError as error:
            raise GoalError(CODES.GOAL_REJECTED, error.what, error.given, error.fix) from error

    def _point(self, frame: RgbdFrame, query: str) -> Pointing:
        def on_points(points: tuple[ImagePoint, ...]) -> None:
            partial = image_points_message(query, self._parts.pointer.backend.name, points, frame)
            self.tell(state=PointAt.Feedback.GENERATING, partial=partial, points_so_far=len(partial.targets))

        self.tell(state=PointAt.Feedback.ENCODING, partial=PointTargetArray(), points_so_far=0)
        pointing = self._asked(
            lambda: self._parts.pointer.point(
                frame, query, max_points=self._max_points(), should_stop=self._told_stop(), on_points=on_points
            )
        )
        self.tell(state=PointAt.Feedback.LIFTING)
        within_both = abs(frame.skew_s) <= min(self._settings.max_skew_s, MAX_SKEW_S)
        if within_both and self._prefer == "near" and self._reference_depth_m is None:
            return pointing  # what the pointer, with the SDK's own limit, has lifted already
        found = lift_points(
            pointing.points,
            frame,
            max_skew_s=self._settings.max_skew_s,
            prefer=self._prefer,
            reference_depth_m=self._reference_depth_m,
        )
        return dataclasses.replace(pointing, found=found)

    def _grasp(self, answers: list[Answer], capture: Capture, result: PointAt.Result) -> None:
        """Grasps of every target that may be acted on, best first; a target without any is told why."""
        found = []
        for answer in answers:
            told = [target for target in answer.message.targets if target.gate == target.GATE_OPEN]
            told = [target for target in told if math.isfinite(target.position.x)]
            for target, message in zip(answer.camera_targets, told, strict=True):
                if self.should_stop():
                    raise self._stopped()
                try:
                    grasps = propose_grasps(
                        capture.frame,
                        target,
                        gripper=gripper_of(self._settings),
                        base_T_camera=capture.level_T_camera,
                        max_candidates=max(int(self._request.max_grasps), 1),
                    )
                except InputError as error:
                    raise GoalError(CODES.GOAL_REJECTED, error.what, error.given, error.fix) from error
                message.reason = no_grasp_reason(grasps)
                found += [grasp_message(grasp, target, grasps, capture.target_T_camera) for grasp in grasps.candidates]
        result.grasps = sorted(found, key=lambda grasp: -grasp.quality)

    def _check_motion(self, capture: Capture) -> None:
        at_capture, limit_m = capture.target_T_camera, self._settings.max_camera_motion_m
        if at_capture is None or limit_m <= 0:
            return
        try:
            now = self._parts.transforms.lookup(at_capture.target, capture.frame.frame, None)
        except FrameError as error:
            raise GoalError(CODES.TF_ERROR, error.what, error.given, error.fix) from error
        moved_m = float(np.linalg.norm(now.translation_m - at_capture.translation_m))
        if moved_m > limit_m:
            given = f"{moved_m * 1e3:.1f} mm in {at_capture.target!r}, allowed {limit_m * 1e3:.1f} mm"
            fix = "hold the camera still, or raise max_camera_motion_m"
            raise GoalError(CODES.CAMERA_MOVED, "The camera moved between capture and answer", given, fix)
