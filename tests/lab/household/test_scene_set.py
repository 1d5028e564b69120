"""Household scenes on disk and read back: what the picture shows is what is known of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.household import scene_set
from lab.household.asset_pack import save_pack
from lab.household.formula_assets import formula_assets
from lab.household.scene_set import render_household_shard, write_things
from lab.training.questions import Vocabulary, draw_questions
from lab.training.scenes import RENDER_HEIGHT, RENDER_WIDTH
from lab.training.shards import SceneShards, seen_objects
from molmo_point.errors import InputError

CHANNELS = {"red": 0, "green": 1, "blue": 2}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "small.npz"
    save_pack(path, formula_assets()[:2])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> Path:
    path = tmp_path_factory.mktemp("household")
    write_things(path, pack)
    for index in range(2):
        assert render_household_shard(path, f"s{index}", 5 + index, 5, pack=pack) == 5
    return path


@pytest.fixture(scope="module")
def scenes(folder: Path) -> SceneShards:
    return SceneShards(folder)


def test_masks_and_truth_agree(scenes: SceneShards) -> None:
    assert len(scenes) == 10
    seen, right = 0, []
    for index in range(10):
        sample = scenes.sample(index, None)
        assert sample.color.shape == (RENDER_HEIGHT, RENDER_WIDTH, 3) and sample.mask.shape == (RENDER_HEIGHT, RENDER_WIDTH)
        assert sample.color.std() > 3 and sample.mask.max() < len(sample.objects)
        for number, thing in enumerate(sample.objects):
            assert thing.seen == (sample.mask == number).any()
            if thing.seen:
                row, column = int(thing.y_percent / 100 * RENDER_HEIGHT), int(thing.x_percent / 100 * RENDER_WIDTH)
                assert sample.mask[row, column] == number
                assert thing.left_percent < thing.x_percent < thing.right_percent
                seen += 1
                if thing.usable and thing.colors & CHANNELS.keys():
                    channel = CHANNELS[next(iter(thing.colors))]
                    right.append(int(sample.color[sample.mask == number].mean(0).argmax()) == channel)
    assert seen > 20
    assert len(right) > 4 and np.mean(right) > 0.9


def test_crops_and_mirrors_keep_the_points_on_their_things(scenes: SceneShards) -> None:
    rng = np.random.default_rng(0)
    sizes, checked = set(), 0
    for _ in range(60):
        sample = scenes.draw(rng)
        height, width = sample.mask.shape
        sizes.add((height, width))
        assert sample.color.shape[:2] == (height, width)
        for number, thing in enumerate(sample.objects):
            if thing.seen:
                assert sample.mask[int(thing.y_percent / 100 * height), int(thing.x_percent / 100 * width)] == number
                checked += 1
            assert not (thing.usable and (sample.mask == number).sum() < 40)
    assert len(sizes) > 30 and checked > 100
    assert {round(w / h, 1) for h, w in sizes} >= {1.0, 1.3, 1.8}


def test_pictures_are_cropped_and_mirrored_like_their_masks(tmp_path: Path, folder: Path) -> None:
    for name in ("things.json", "s0.json", "s0.masks.npy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    masks = np.load(folder / "s0.masks.npy")
    np.save(tmp_path / "s0.images.npy", np.repeat((masks[..., None] + 1).astype(np.uint8), 3, -1))
    scenes, rng = SceneShards(tmp_path), np.random.default_rng(0)
    for _ in range(20):
        sample = scenes.draw(rng)
        np.testing.assert_array_equal(sample.color[..., 0], sample.mask + 1)


def test_questions_can_be_drawn_and_words_are_those_of_the_pack(scenes: SceneShards) -> None:
    rng = np.random.default_rng(1)
    nouns = {noun for row in scenes.words.values() for noun in row["nouns"]}
    assert {"cube", "ball", "banana"} <= nouns and set(scenes.nouns()) < nouns
    words = Vocabulary(tuple(scenes.nouns()))
    questions = [q for _ in range(20) for q in draw_questions(scenes.draw(rng).objects, 5, rng, words)]
    assert len(questions) > 80
    assert len({q.topic for q in questions}) >= 6


def test_the_seed_decides_and_held_out_scenes_are_others(tmp_path: Path, folder: Path, pack: Path) -> None:
    render_household_shard(tmp_path, "again", 5, 2, pack=pack)
    render_household_shard(tmp_path, "other", 5, 2, held_out=True, pack=pack)
    first, again, other = (
        np.load(p) for p in (folder / "s0.images.npy", tmp_path / "again.images.npy", tmp_path / "other.images.npy")
    )
    np.testing.assert_array_equal(first[:2], again)
    assert (other != again).mean() > 0.3
    words = json.loads((folder / "things.json").read_text())
    shown = {
        row["key"]
        for name in ("s0", "s1")
        for truth in json.loads((folder / f"{name}.json").read_text())
        for row in truth["objects"]
    }
    assert not any(words[key]["held_out"] for key in shown) and any(row["held_out"] for row in words.values())


def test_what_is_interrupted_is_not_read_and_what_comes_later_is(
    tmp_path: Path, folder: Path, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="complete shards"):
        SceneShards(tmp_path)
    write_things(tmp_path, pack)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scene_set, "scene_truth", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render_household_shard(tmp_path, "half", 1, 1, pack=pack)
    with pytest.raises(InputError):
        SceneShards(tmp_path)
    monkeypatch.undo()
    render_household_shard(tmp_path, "whole", 1, 1, pack=pack)
    scenes = SceneShards(tmp_path)
    assert len(scenes) == 1
    render_household_shard(tmp_path, "more", 2, 1, pack=pack)
    scenes.refresh()
    scenes.refresh()
    assert len(scenes) == 2


def test_a_fresh_render_gives_the_same_things(scenes: SceneShards, folder: Path) -> None:
    truth = json.loads((folder / "s0.json").read_text())[0]
    sample = scenes.sample(0, None)
    assert seen_objects(sample.mask, truth, scenes.words) == sample.objects
