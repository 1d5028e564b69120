"""One Teach goal from its acceptance to its result."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from molmo_point_msgs.action import Teach
from sensor_msgs.msg import CompressedImage

from molmo_point.errors import DepthInputError, InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.request import PointRequest
from molmo_point.teaching.object_mask import MaskSource, ViewRefusal
from molmo_point_ros.conversions.taught_objects import picture_message, taught_message
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.nodes.goal_queue import StopReason
from molmo_point_ros.nodes.node_resources import NodeResources
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.frame_goal import FrameGoal
from molmo_point_ros.teaching.taught_services import opened
from molmo_point_ros.teaching.teach_request import TIMEOUT_S, TeachRequest

if TYPE_CHECKING:
    from molmo_point.model.taught.library import Library
    from molmo_point.teaching.session import Offered, TeachingSession
    from molmo_point.teaching.taught_layer import TaughtLayer

PATIENCE_S = 10.0
"""Time without any object, or with several, after which a goal without a good view ends."""
_FRAME_WAIT_S, _PAUSE_S, _CHECK_S, _SILENT_S = 0.5, 0.1, 0.05, 2.0
_TAKEN = "The empty scene is taken: show the object."
_CODE_OF = {
    ViewRefusal.NO_OBJECT: (ErrorCode.NO_OBJECT, "put the object on a support in the view of the camera"),
    ViewRefusal.SEVERAL_OBJECTS: (ErrorCode.SEVERAL_OBJECTS, "show it alone, or choose it by u and v"),
}
"""Code and remedy of the refusals that say that no single object is shown."""


class TeachGoal(FrameGoal):
    """A Teach goal; see `FrameGoal`. It takes views until it has enough, and then fits.

    The library is written once, at the end; an end before that leaves it as it was.
    """

    Result, Feedback = Teach.Result, Teach.Feedback

    def __init__(self, goal_handle: Any, resources: NodeResources, parameters: PointingNodeParameters, logger: Any) -> None:
        super().__init__(goal_handle, resources, parameters, logger, TIMEOUT_S)
        self._wanted_views = self._good = self._poor = 0
        self._last_frame_s = time.monotonic()
        self._refusal: ViewRefusal | None = None
        self._reason, self._refused_since_s = "", 0.0
        self._has_told = False

    def answer_into(self, result: Any) -> None:
        """Take views, and learn the object."""
        request = TeachRequest.of(self.request, self._parameters.max_query_length)
        layer, library = self._open_library(request)
        self._wanted_views = request.views
        try:
            session = self._shown(request, library)
        finally:
            result.refused = self._poor
        # The person has done their part: only a cancellation or the end of the node stops the fit.
        self._timeout_s = math.inf
        learnt = self._in_background(session.finish)
        try:
            written = layer.commit(learnt)
        except MolmoPointError as error:
            raise _library_error(error) from error
        result.object = taught_message(written.find(request.name), written, thumbnail=True)

    def tell(self, **values: Any) -> None:
        """Publish feedback; see `ActionGoal.tell`. A sign of life comes after the first feedback of its own only."""
        if values or self._has_told:
            self._has_told = True
            super().tell(**values)

    def stopped_error(self) -> GoalError:
        """Return the error of a goal that was stopped; of one whose time is over, what was shown meanwhile."""
        if self.stop_reason is not StopReason.TIMED_OUT:
            return super().stopped_error()
        silent_s = time.monotonic() - self._last_frame_s
        code, fix = ErrorCode.TIMEOUT, "change the view as advised, ask for fewer views, or raise the timeout"
        given = f"{self._good} of {self._wanted_views} good views and {self._poor} poor ones in {self._timeout_s:g} s"
        if silent_s > _SILENT_S:
            given, fix = f"{given}; no image for {silent_s:.1f} s", "check the camera"
        elif self._reason:
            given = f"{given}; the last one: {self._reason}"
            code, fix = (code, fix) if self._good or self._refusal is None else _CODE_OF.get(self._refusal, (code, fix))
        return GoalError(code, "Enough good views must be shown in time; nothing was learnt", given, fix)

    def _target_frame(self) -> str:
        return ""

    def _stamp_feedback(self) -> None:
        """Leave the feedback as it is: it has no time."""

    def _open_library(self, request: TeachRequest) -> "tuple[TaughtLayer, Library]":
        """Return the library, and refuse what would be refused after somebody has shown the object."""
        try:
            layer = opened(self._resources.taught)
            layer.check_writable()
            library = layer.refresh()
        except MolmoPointError as error:
            raise _library_error(error) from error
        from molmo_point.teaching.session import check_name

        try:
            check_name(library, request.name, request.aliases, request.add)
        except InputError as error:
            code = ErrorCode.GOAL_REJECTED if request.add else ErrorCode.NAME_EXISTS
            raise GoalError(code, error.what, error.given, error.fix) from error
        return layer, library

    # ---------------------------------------------------------------------------------------------------- the views

    def _shown(self, request: TeachRequest, library: "Library") -> "TeachingSession":
        """Take views until there are enough."""
        from molmo_point.teaching.session import TeachingSession

        frame = self._seen(self._frame(self._accepted_ns))
        empty = frame if request.mask_from == Teach.Goal.DIFFERENCE else None
        session = TeachingSession(
            library,
            request.name,
            request.aliases,
            request.categories,
            add=request.add,
            source=MaskSource.AUTO if empty is None else MaskSource.DIFFERENCE,
            empty=empty,
        )
        if empty is not None:
            self.tell(advice=_TAKEN)
            frame = self._next_frame(frame)
        while True:
            offered = self._offered(session, frame, request)
            self._take(offered, frame, request)
            if len(session.views) >= request.views:
                return session
            if not offered.accepted:
                time.sleep(_PAUSE_S)
            frame = self._next_frame(frame)

    def _offered(self, session: "TeachingSession", frame: RgbdFrame, request: TeachRequest) -> "Offered":
        """Offer a frame to the session, with the place of the object in it."""
        from molmo_point.teaching.session import Offered

        at = request.at
        if request.mask_from == Teach.Goal.REGION and at is None and (frame.depth_m is None or frame.intrinsics is None):
            fix = "use a camera with depth, give u and v, or send DIFFERENCE"
            raise DepthInputError("REGION must have depth to find the only object", "a frame without depth", fix)
        if request.mask_from == Teach.Goal.WORDS:
            found = self._place(frame, request.query)
            if not isinstance(found, tuple):
                return Offered(False, found, self._reason, session.advice, views=len(session.views))
            at = found
        return session.offer(frame, uv=at, origin=frame.frame)

    def _place(self, frame: RgbdFrame, query: str) -> tuple[float, float] | ViewRefusal:
        """Return the pixel that the model below points at; without a single one the refusal, with its reason told."""
        below = self._resources.loaded
        asked = PointRequest(query, max_points=2)
        pointing = self._asked(lambda: below.point(frame, asked, should_stop=self.should_stop))
        doubts = [caution for caution in pointing.cautions if caution.kind not in self._parameters.accepted()]
        if doubts:
            self._reason = f"The answer of {pointing.model!r} about {query!r} is not trusted: {doubts[0].sentence}"
            return ViewRefusal.UNCLEAR
        if len(pointing.points) != 1:
            self._reason = f"{pointing.model!r} points at {len(pointing.points) or 'no'} objects for {query!r}."
            return ViewRefusal.SEVERAL_OBJECTS if pointing.points else ViewRefusal.NO_OBJECT
        return pointing.points[0].u, pointing.points[0].v

    def _take(self, offered: "Offered", frame: RgbdFrame, request: TeachRequest) -> None:
        """Take note of an offered frame, and tell the client."""
        view = CompressedImage()
        if offered.accepted:
            self._good, self._reason, self._refusal = self._good + 1, "", None
            if offered.thumbnail is not None:
                view = picture_message(offered.thumbnail, frame.stamp_ns, frame.frame)
        else:
            if offered.refusal is not self._refusal:
                self._refused_since_s = time.monotonic()
            self._poor, self._reason, self._refusal = self._poor + 1, offered.message, offered.refusal
        self.tell(views=self._good, refused=self._poor, refusal=self._reason, advice=offered.advice.message, view=view)
        if offered.accepted or self._good or request.mask_from == Teach.Goal.DIFFERENCE:
            return
        if self._refusal in _CODE_OF and time.monotonic() - self._refused_since_s > PATIENCE_S:
            code, fix = _CODE_OF[self._refusal]
            raise GoalError(code, "One object must be shown", f"{self._reason} For {PATIENCE_S:g} s", fix)

    def _seen(self, frame: RgbdFrame) -> RgbdFrame:
        self._last_frame_s = time.monotonic()
        self._resources.monitor.used(frame)
        return frame

    def _next_frame(self, last: RgbdFrame) -> RgbdFrame:
        """Wait for a later frame until the end of the goal."""
        while not self.should_stop():
            frame = self._resources.frames.newer(last.stamp_ns, _FRAME_WAIT_S, self.should_stop)
            if frame is not None:
                return self._seen(frame)
        raise self.stopped_error()

    # ------------------------------------------------------------------------------------------------------ the fit

    def _in_background(self, work: "Callable[[], Library]") -> "Library":
        """Do the work in a thread, so that the goal can end meanwhile; its result is then dropped."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=run, name="fit", daemon=True).start()
        while not done.done() and not self.should_stop():
            time.sleep(_CHECK_S)
        if self.should_stop():
            raise self.stopped_error()
        return done.result()


def _library_error(error: MolmoPointError) -> GoalError:
    return GoalError(ErrorCode.LIBRARY_ERROR, error.what, error.given, error.fix)
