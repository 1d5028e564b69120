"""Joining streams by stamp; no ROS needed, but the package must be importable."""

import pytest

synchronizer = pytest.importorskip(
    "molmo_point_ros.inputs.synchronizer",
    reason="run through ros2_ws/run, which puts the package on the path",
    exc_type=ImportError,
)
from molmo_point.errors import InputError  # noqa: E402

COLOR, DEPTH, INFO = synchronizer.COLOR, synchronizer.DEPTH, synchronizer.INFO
MS = 1_000_000
START = 1_000_000_000


def filled(color_ms, depth_ms, info_ms=None, max_skew_s=1 / 60):
    joined = synchronizer.Synchronizer(max_skew_s)
    for stream, times in ((COLOR, color_ms), (DEPTH, depth_ms), (INFO, info_ms or color_ms)):
        for time_ms in times:
            joined.add(stream, START + time_ms * MS, f"{stream.name} {time_ms}")
    return joined


def test_the_newest_complete_bundle_is_joined_with_its_nearest_partners():
    bundle = filled([0, 33, 66, 100], [1, 34, 67]).newest()
    assert bundle.stamp_ns == START + 66 * MS
    assert (bundle.color, bundle.depth, bundle.info) == ("COLOR 66", "DEPTH 67", "INFO 66")


def test_it_says_when_an_image_has_become_complete_whatever_comes_last():
    joined = synchronizer.Synchronizer(0.010)
    told = [
        joined.add(stream, START + ms * MS, "") for stream, ms in ((DEPTH, 0), (INFO, 1), (COLOR, 0), (COLOR, 33), (INFO, 33))
    ]
    assert told == [False, False, True, False, False]
    assert joined.add(DEPTH, START + 34 * MS, "") and not joined.add(COLOR, 0, "")


def test_the_limit_is_inclusive_and_nothing_beyond_it_is_joined():
    assert filled([0], [10], max_skew_s=0.010).newest() is not None
    assert filled([0], [11], max_skew_s=0.010).newest() is None


@pytest.mark.parametrize("info_ms", [[0], [5000], [0, 5000], [0, 33, 66]])
def test_camera_info_that_does_not_change_holds_for_every_image(info_ms):
    joined = synchronizer.Synchronizer(0.01)
    for time_ms in info_ms:
        joined.add(INFO, START + time_ms * MS, "constant")
    joined.add(DEPTH, START + 2000 * MS, "depth")
    assert joined.add(COLOR, START + 2000 * MS, "color")
    assert joined.newest().info == "constant" and INFO not in joined.skew_s()


def test_camera_info_without_a_stamp_holds_and_completes_the_image_that_waits():
    joined = synchronizer.Synchronizer(0.01)
    joined.add(DEPTH, START, "depth")
    assert not joined.add(COLOR, START, "color") and joined.missing() == (INFO,)
    assert joined.add(INFO, 0, "info")
    assert joined.newest().info == "info" and not joined.missing() and not joined.unstamped()


def test_camera_info_that_changes_belongs_to_its_own_moment():
    joined = filled([100, 133, 166], [100, 133, 166], [0, 33, 100, 133])
    assert joined.newest().info == "INFO 133", "166 waits for its own"
    lost = filled([100], [100], [0, 33])
    assert lost.newest() is None
    assert lost.skew_s()[INFO] == pytest.approx(-0.067)


def test_a_camera_that_was_set_to_another_mode_is_used_after_a_while():
    joined = filled([1000, 3100], [1000, 3100], [0, 900])
    assert joined.newest().stamp_ns == START + 3100 * MS and joined.newest().info == "INFO 900"
    assert joined.at(START + 1000 * MS) is None


def test_an_image_captured_before_is_not_taken():
    joined = filled([0, 33], [0, 33])
    assert joined.newest(START + 33 * MS) is not None
    assert joined.newest(START + 33 * MS + 1) is None


def test_the_measured_skew_is_signed_and_the_smallest():
    joined = filled([0, 100, 200], [45, 145, 245])
    assert joined.newest() is None
    assert joined.skew_s()[DEPTH] == pytest.approx(0.045)


def test_missing_streams_and_unstamped_messages_are_named():
    joined = synchronizer.Synchronizer(0.01)
    assert joined.missing() == (COLOR, DEPTH, INFO)
    joined.add(COLOR, 0, "no stamp")
    assert joined.unstamped() == {COLOR: 1}
    assert joined.missing() == (COLOR, DEPTH, INFO)
    joined.add(COLOR, START, "stamped")
    assert joined.missing() == (DEPTH, INFO)
    assert joined.newest_stamp_ns() == START


def test_without_depth_colour_is_enough():
    joined = synchronizer.Synchronizer(0.01, needed=())
    joined.add(COLOR, START, "image")
    bundle = joined.newest()
    assert (bundle.color, bundle.depth, bundle.info) == ("image", None, None)


def test_a_step_back_in_time_starts_anew_and_a_swapped_neighbour_is_dropped():
    joined = filled([5000], [5000])
    joined.add(COLOR, START + 4990 * MS, "swapped")
    assert joined.newest_stamp_ns() == START + 5000 * MS
    for stream in (COLOR, DEPTH, INFO):
        joined.add(stream, START, "again")
    assert joined.newest().stamp_ns == START


def test_memory_is_bounded():
    joined = filled(range(0, 10_000, 10), range(0, 10_000, 10))
    assert len(joined._kept[COLOR]) == 12


def test_a_negative_limit_is_refused():
    with pytest.raises(InputError, match="half a frame period"):
        synchronizer.Synchronizer(-0.1)
