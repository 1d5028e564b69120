"""Shards on disk, augmented views of them, and what of every object is still seen."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.training import scenes as scenes_module
from lab.training.scenes import RENDER_HEIGHT, RENDER_WIDTH, render_shard
from lab.training.shards import SceneShards, plain_object
from molmo_point.errors import InputError
from molmo_point.sim import TabletopScene


def write_shard(folder: Path, name: str = "a") -> None:
    """One view of 64 × 48: object 0 at columns 8…23 and rows 8…31, object 1 unseen, object 2 at the right edge."""
    mask = np.full((1, 48, 64), -1, np.int8)
    mask[0, 8:32, 8:24] = 0
    mask[0, 20:30, 56:64] = 2
    color = np.stack([np.where(mask == 0, 250, 0), np.where(mask == 2, 250, 0), np.zeros_like(mask)], -1).astype(np.uint8)
    np.save(folder / f"{name}.images.npy", color)
    np.save(folder / f"{name}.masks.npy", mask)
    names = [("red", "cube"), ("white", "ball"), ("green", "brick")]
    (folder / f"{name}.json").write_text(json.dumps([[{"color": c, "shape": s} for c, s in names]]))


def test_a_view_as_rendered(tmp_path: Path) -> None:
    write_shard(tmp_path)
    sample = SceneShards(tmp_path).sample(0, None)
    assert sample.color.shape == (48, 64, 3)
    red, hidden, green = sample.objects
    # The centroid in per cent counts from the image's edge: columns 8…23 end at 24.
    assert (red.x_percent, red.y_percent) == pytest.approx((16 / 64 * 100, 20 / 48 * 100))
    assert (green.x_percent, green.y_percent) == pytest.approx((60 / 64 * 100, 25 / 48 * 100))
    assert (red.colors, red.noun, red.seen, red.usable) == ({"red"}, "cube", True, True)
    assert not hidden.seen and not hidden.usable
    assert green.usable


def test_a_shape_without_a_picture_stands_where_it_should() -> None:
    shape = plain_object("red", "cube", 30.25, 99.9)
    assert (shape.percent, shape.noun, shape.colors, shape.seen, shape.usable) == ((30.25, 99.9), "cube", {"red"}, True, True)


def test_crops_and_flips_move_image_mask_and_centroids_together(tmp_path: Path) -> None:
    write_shard(tmp_path)
    shards = SceneShards(tmp_path)
    rng = np.random.default_rng(0)
    sizes, cut, mirrored = set(), 0, 0
    for _ in range(60):
        sample = shards.draw(rng)
        assert sample.color.shape[:2] == sample.mask.shape
        assert sample.color.flags.c_contiguous and sample.mask.flags.c_contiguous
        sizes.add(sample.mask.shape)
        np.testing.assert_array_equal(sample.color[..., 0] > 0, sample.mask == 0)
        np.testing.assert_array_equal(sample.color[..., 1] > 0, sample.mask == 2)
        height, width = sample.mask.shape
        for index in (0, 2):
            v, u = np.nonzero(sample.mask == index)
            thing = sample.objects[index]
            if u.size == 0:
                assert not thing.seen
                continue
            assert thing.x_percent == pytest.approx((u.mean() + 0.5) / width * 100)
            assert thing.y_percent == pytest.approx((v.mean() + 0.5) / height * 100)
            whole = {0: 384, 2: 80}[index]
            assert thing.usable == (u.size >= max(40, 0.45 * whole))
            cut += u.size < whole
            mirrored += index == 2 and thing.x_percent < 50
    assert len(sizes) > 5 and cut > 5 and mirrored > 5
    assert all(48 * 0.7 <= h <= 48 and 64 * 0.7 <= w <= 64 for h, w in sizes)


def test_shards_without_their_json_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="complete shards"):
        SceneShards(tmp_path)
    write_shard(tmp_path)
    shards = SceneShards(tmp_path)
    assert len(shards) == 1
    write_shard(tmp_path, "b")
    (tmp_path / "b.json").rename(tmp_path / "b.later")
    shards.refresh()
    assert len(shards) == 1
    (tmp_path / "b.later").rename(tmp_path / "b.json")
    shards.refresh()
    shards.refresh()
    assert len(shards) == 2


def test_rendered_shards_hold_what_the_scenes_show(scenes: Path) -> None:
    shards = SceneShards(scenes)
    assert len(shards) == 12
    for index in range(12):
        sample = shards.sample(index, None)
        assert sample.color.shape == (RENDER_HEIGHT, RENDER_WIDTH, 3)
        assert sample.color.std() > 3
        assert sample.mask.max() < len(sample.objects)
    assert np.mean([shards.sample(i, None).mask.max() >= 0 for i in range(6)]) > 0.5


def test_rendering_is_decided_by_the_seed_and_the_json_comes_last(
    tmp_path: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_shard(tmp_path, "again", seed=70, image_count=6)
    for kind in ("images", "masks"):
        first, again = (np.load(p) for p in (scenes / f"shard_0.{kind}.npy", tmp_path / f"again.{kind}.npy"))
        np.testing.assert_array_equal(first, again)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scenes_module, "TabletopScene", TabletopScene)
    monkeypatch.setattr(TabletopScene, "move_camera", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render_shard(tmp_path, "half", seed=1, image_count=2)
    assert not (tmp_path / "half.json").exists()
