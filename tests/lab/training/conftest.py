"""A tokenizer, a processor and two small shards of rendered scenes, made once."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from lab.household.scene_set import render_household_shard, write_things
from lab.training.initial import LAYOUT
from lab.training.scenes import render_shard
from lab.training.tokenizer import train_tokenizer
from lab.training.views import SceneViews
from molmo_point.model.inputs.molmo_processor import MolmoProcessor


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(512)


@pytest.fixture(scope="session")
def processor(tokenizer: PreTrainedTokenizerFast) -> MolmoProcessor:
    return MolmoProcessor(tokenizer, LAYOUT)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    for index in range(2):
        render_shard(folder, f"shard_{index}", seed=70 + index, image_count=6)
    return folder


@pytest.fixture(scope="session")
def source(scenes: Path) -> SceneViews:
    return SceneViews(scenes)


@pytest.fixture(scope="session")
def household(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("household")
    write_things(folder)
    for name, seed in (("shard_1_0000", 1), ("shard_1_0001", 2)):
        render_household_shard(folder, name, seed, 6)
    return folder
