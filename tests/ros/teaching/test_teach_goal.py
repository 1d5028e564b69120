"""A Teach goal without DDS: its frames come from a list; the node's model, the library and the fit are the real ones."""

import math
import threading
import time
import types

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)
pytest.importorskip("cv2", reason="OpenCV is not installed")

from builtin_interfaces.msg import Duration  # noqa: E402
from molmo_point_msgs.action import Teach  # noqa: E402
from molmo_point_msgs.srv import ForgetTaught, ListTaught  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError, code_name  # noqa: E402
from molmo_point_ros.nodes.goal_queue import StopReason  # noqa: E402
from molmo_point_ros.nodes.node_resources import NodeResources  # noqa: E402
from molmo_point_ros.nodes.parameters import PointingNodeParameters  # noqa: E402
from molmo_point_ros.teaching import teach_goal  # noqa: E402
from molmo_point_ros.teaching.taught_services import forget_taught, list_taught, open_taught_layer  # noqa: E402
from molmo_point_ros.teaching.teach_goal import TeachGoal  # noqa: E402
from molmo_point_ros.teaching.teach_request import TeachRequest  # noqa: E402
from teach_scene import DUCK, INTRINSICS, ROBOT, Tile, scene, views  # noqa: E402

from molmo_point.errors import InputError  # noqa: E402
from molmo_point.files import decode_image  # noqa: E402
from molmo_point.frame import RgbdFrame  # noqa: E402
from molmo_point.geometry.intrinsics import Intrinsics  # noqa: E402
from molmo_point.pointer import Pointer  # noqa: E402
from tests.scripted_backend import Scripted  # noqa: E402

pytestmark = pytest.mark.ros

FRAME = "camera_color_optical_frame"
LOGGER = types.SimpleNamespace(error=print, warning=lambda text, **_: print(text))
TWO = scene(Tile(DUCK, (90, 120)), Tile(ROBOT, (230, 120), size=0.6), seed=50)


class ListedFrames:
    """A source of frames that come one after the other; after the last one the camera is silent."""

    def __init__(self, scenes, *, turn_deg=0, again=False):
        self._scenes, self._turn_deg, self._again, self._count = list(scenes), turn_deg, again, 0
        self.on_read = lambda count: None

    def frame(self, after_ns, timeout_s, should_stop):
        found = self.newer(after_ns, timeout_s, should_stop)
        if found is None:
            raise GoalError(ErrorCode.NO_IMAGE, "No image has arrived", "", "check the camera")
        return found

    def newer(self, than_ns, timeout_s, should_stop):
        self.on_read(self._count)
        if self._count >= len(self._scenes) and not self._again:
            time.sleep(min(timeout_s, 0.05))
            return None
        color, depth = self._scenes[self._count % len(self._scenes)]
        self._count += 1
        turns = self._turn_deg // 90
        color, depth = (np.ascontiguousarray(np.rot90(each, turns)) for each in (color, depth))
        lens = Intrinsics(240, 320, 300.0, 300.0, 119.5, 159.5) if turns % 2 else INTRINSICS
        return RgbdFrame(color, depth, lens, time.time_ns(), FRAME, rotate_deg=self._turn_deg)


class Node:
    """The parts of a pointing node that a Teach goal meets."""

    def __init__(self, path, scenes, below="There are none.", **frames):
        loaded = Pointer(Scripted(below))
        self.layer = open_taught_layer(loaded, str(path), LOGGER)
        self.frames = ListedFrames(scenes, **frames)
        self.resources = NodeResources(loaded, self.frames, None, None, None, time.time_ns, lambda: True, taught=self.layer)
        self.told = []

    def goal(self, name="my duck", timeout_s=20.0, **fields):
        fields = {"u": math.nan, "v": math.nan, "views": 2, **fields}
        request = Teach.Goal(name=name, timeout=Duration(nanosec=int(timeout_s % 1 * 1e9), sec=int(timeout_s)), **fields)

        def keep(message):
            told = (message.views, message.refused, message.refusal, message.advice, bytes(message.view.data))
            self.told.append(told)

        handle = types.SimpleNamespace(request=request, is_cancel_requested=False, is_active=True, publish_feedback=keep)
        return TeachGoal(handle, self.resources, PointingNodeParameters(), LOGGER)

    def teach(self, *args, **fields):
        result = self.goal(*args, **fields).answer()
        return ErrorCode(result.error_code), result

    def answer(self, picture, query):
        return self.resources.pointer.point(RgbdFrame(picture[0], picture[1], INTRINSICS, 1, FRAME), query)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A node that was taught a duck, and the result."""
    node = Node(tmp_path_factory.mktemp("taught") / "objects.taught", views(DUCK))
    code, result = node.teach(categories=["a toy"], aliases=["quack"], views=1)
    assert code is ErrorCode.NONE, result.error_msg
    return node, result


def test_a_taught_object_answers_at_once_and_after_forgetting_no_more(taught):
    node, result = taught
    assert result.object.name == "my duck" and result.object.views == 1 and list(result.object.aliases) == ["quack"]
    assert decode_image(bytes(result.object.thumbnail.data), "thumbnail").shape[2] == 3
    assert [views for views, *_ in node.told] == [1] and all(advice and data for _, _, _, advice, data in node.told)
    kept = node.resources.pointer
    answer = node.answer(TWO, "my duck")
    assert answer.model == f"taught:{node.layer.path.stem}" and math.dist(answer.points[0].uv, (90, 120)) < 22
    assert node.answer(TWO, "the cube").model == "scripted"
    response = list_taught(ListTaught.Request(thumbnails=True), ListTaught.Response(), node.layer)
    assert response.success and response.library == str(node.layer.path)
    assert [each.name for each in response.objects] == ["my duck"] and response.objects[0].thumbnail.format == "png"
    before = node.layer.path.read_bytes()
    for name, word in (("quack", "another name"), ("a toy", "taught"), ("the frog", "taught"), ("\x1b[2J", "control")):
        refused = forget_taught(ForgetTaught.Request(name=name), ForgetTaught.Response(), node.layer)
        assert not refused.success and word in refused.message and refused.message.isprintable()
    assert node.layer.path.read_bytes() == before
    assert forget_taught(ForgetTaught.Request(name="My Duck"), ForgetTaught.Response(), node.layer).success
    assert node.answer(TWO, "my duck").model == "scripted"
    # A goal that began before keeps its library.
    assert kept.point(RgbdFrame(*TWO, INTRINSICS, 1, FRAME), "my duck").model.startswith("taught")
    node.layer.path.write_bytes(before)


@pytest.mark.parametrize(
    ("scenes", "fields", "code"),
    [
        ([scene()], {}, ErrorCode.NO_OBJECT),
        ([TWO], {}, ErrorCode.SEVERAL_OBJECTS),
        pytest.param([TWO], {"u": 90.0, "v": 120.0}, ErrorCode.TIMEOUT, marks=pytest.mark.slow),
        pytest.param([scene()], {"mask_from": Teach.Goal.DIFFERENCE}, ErrorCode.NO_OBJECT, marks=pytest.mark.slow),
        ([TWO], {"mask_from": Teach.Goal.WORDS, "query": "the duck"}, ErrorCode.NO_OBJECT),
        ([TWO], {"name": "quack"}, ErrorCode.NAME_EXISTS),
        ([TWO], {"name": "my frog", "aliases": ["My Duck"]}, ErrorCode.NAME_EXISTS),
        ([TWO], {"name": "my frog", "add": True}, ErrorCode.GOAL_REJECTED),
        ([TWO], {"name": "my frog", "u": 9000.0, "v": 1.0}, ErrorCode.GOAL_REJECTED),
        ([], {"name": "my frog"}, ErrorCode.NO_IMAGE),
    ],
)
def test_nothing_is_learnt_from_what_cannot_be_taught(taught, scenes, fields, code):
    node, _ = taught
    other = Node(node.layer.path, scenes, again=True) if scenes else Node(node.layer.path, [])
    before = node.layer.path.read_bytes()
    fields = {"name": "my frog", **fields}
    found, result = other.teach(timeout_s=0.3, **fields)
    assert found is code, f"{code_name(result.error_code)}: {result.error_msg}"
    assert result.error_msg.isprintable() and "Fix: " in result.error_msg
    assert node.layer.path.read_bytes() == before


def test_an_empty_table_ends_a_goal_before_its_time(taught, monkeypatch):
    monkeypatch.setattr(teach_goal, "PATIENCE_S", 0.3)
    node = Node(taught[0].layer.path, [scene()], again=True)
    started_s = time.monotonic()
    code, result = node.teach("my frog", timeout_s=60.0)
    assert code is ErrorCode.NO_OBJECT and result.refused >= 2 and time.monotonic() - started_s < 20
    assert {told[2] for told in node.told} == {node.told[0][2]} and node.told[0][2]


@pytest.mark.slow
def test_a_camera_that_stops_is_told_and_nothing_is_learnt(tmp_path):
    node = Node(tmp_path / "objects.taught", views(DUCK, 1))
    code, result = node.teach(timeout_s=3.0)
    assert code is ErrorCode.TIMEOUT and "1 of 2 good views" in result.error_msg and "no image for" in result.error_msg
    assert not node.layer.path.exists()


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (lambda goal: setattr(goal.goal_handle, "is_cancel_requested", True), ErrorCode.CANCELED),
        (lambda goal: goal.stop(StopReason.DEACTIVATED), ErrorCode.CANCELED),
        (lambda goal: goal.stop(StopReason.BUSY), ErrorCode.GOAL_REJECTED),
    ],
)
@pytest.mark.parametrize("when", ["views", pytest.param("fit", marks=pytest.mark.slow)])
def test_a_stop_ends_it_at_once_and_nothing_is_learnt(tmp_path, monkeypatch, stop, code, when):
    node = Node(tmp_path / "objects.taught", views(DUCK))
    goal, ended = node.goal(), threading.Event()
    if when == "views":
        node.frames.on_read = lambda count: stop(goal) if count == 1 else None
    else:
        from molmo_point.teaching.session import TeachingSession

        real = TeachingSession.finish

        def slow(session):
            stop(goal)
            ended.wait(10)
            return real(session)

        monkeypatch.setattr(TeachingSession, "finish", slow)
    started_s = time.monotonic()
    result = goal.answer()
    ended.set()
    assert result.error_code == code and time.monotonic() - started_s < 9
    time.sleep(0.3)
    assert not node.layer.path.exists() and node.layer.refresh().names == ()


@pytest.mark.slow
def test_the_difference_is_taken_to_the_scene_that_the_first_feedback_tells(tmp_path):
    other = Tile(ROBOT, (60, 60), size=0.7)
    node = Node(tmp_path / "objects.taught", [scene(other), *views(DUCK, 8, [other])])
    code, result = node.teach(mask_from=Teach.Goal.DIFFERENCE)
    assert code is ErrorCode.NONE, result.error_msg
    views_told, refused, refusal, advice, picture = node.told[0]
    assert (views_told, refused, refusal, picture) == (0, 0, "", b"") and "empty scene" in advice
    assert math.dist(node.answer(TWO, "my duck").points[0].uv, (90, 120)) < 22


def test_no_sign_of_life_comes_before_the_first_feedback(tmp_path):
    node = Node(tmp_path / "objects.taught", [])
    goal = node.goal()
    goal.tell()
    assert not node.told
    goal.tell(advice="show")
    goal.tell()
    assert len(node.told) == 2


@pytest.mark.slow
def test_words_choose_one_of_several(tmp_path):
    node = Node(
        tmp_path / "objects.taught",
        [scene(Tile(DUCK, (90, 120), k), Tile(ROBOT, (230, 120), k)) for k in range(6)],
        below='<point x="72.0" y="50.0" alt="robot">robot</point>',
    )
    code, result = node.teach("my robot", mask_from=Teach.Goal.WORDS, query="the robot")
    assert code is ErrorCode.NONE, result.error_msg
    assert math.dist(node.answer(TWO, "my robot").points[0].uv, (230, 120)) < 22


@pytest.mark.slow
def test_a_rotated_camera_teaches_the_upright_picture(tmp_path):
    node = Node(tmp_path / "objects.taught", views(DUCK), turn_deg=90)
    code, result = node.teach()
    assert code is ErrorCode.NONE, result.error_msg
    upright = node.layer.refresh().find("my duck").views[0].thumbnail
    straight = Node(tmp_path / "others.taught", views(DUCK))
    assert straight.teach()[0] is ErrorCode.NONE
    same = straight.layer.refresh().find("my duck").views[0].thumbnail
    assert upright.shape == same.shape
    # The first view lies straight in the image, so that a turn by a quarter would show.
    assert np.abs(upright.astype(int) - same).mean() < 12


def test_a_library_that_cannot_be_written_is_told_before_anything_is_shown(tmp_path):
    node = Node(tmp_path / "no folder" / "objects.taught", views(DUCK))
    code, result = node.teach()
    assert code is ErrorCode.LIBRARY_ERROR and "folder" in result.error_msg and not node.told
    without = Node("", views(DUCK))
    code, result = without.teach()
    assert code is ErrorCode.LIBRARY_ERROR and "taught" in result.error_msg
    response = list_taught(ListTaught.Request(), ListTaught.Response(), without.layer)
    assert not response.success and "taught" in response.message


@pytest.mark.slow
def test_a_file_that_breaks_later_leaves_the_objects_in_use(taught, tmp_path):
    path = tmp_path / "objects.taught"
    path.write_bytes(taught[0].layer.path.read_bytes())
    node = Node(path, views(ROBOT))
    path.write_bytes(b"no library")
    assert node.answer(TWO, "my duck").model == "taught:objects"
    code, result = node.teach("my robot")
    assert code is ErrorCode.LIBRARY_ERROR and str(path) in result.error_msg and path.read_bytes() == b"no library"
    with pytest.raises(InputError, match="library"):
        Node(path, [])


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"name": ""}, "name"),
        ({"name": "my\x1b[2Jduck"}, "control"),
        ({"name": "x" * 100_000}, "characters"),
        ({"aliases": ["a\nb"]}, "alias"),
        ({"categories": ["toy"] * 1000}, "category"),
        ({"mask_from": 7}, "mask_from"),
        ({"mask_from": Teach.Goal.WORDS}, "query"),
        ({"query": "the duck"}, "query"),
        ({"views": 100_000}, "views"),
        ({"u": 0.0, "v": 0.0}, "u and v"),
        ({"u": math.nan, "v": 5.0}, "u and v"),
        ({"u": math.inf, "v": 5.0}, "u and v"),
    ],
)
def test_fields_that_cannot_be_used_are_refused_by_name(fields, word):
    goal = Teach.Goal(**{"name": "my duck", "u": math.nan, "v": math.nan, **fields})
    with pytest.raises(InputError, match=word) as caught:
        TeachRequest.of(goal, 1000)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()
