"""Training of the read-out on a few made-up features."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lab.read_out.train import FeatureFolder, fresh_network, image_loss, targets_of, train  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> FeatureFolder:
    """Return four images of one object each, whose features tell its name."""
    rng = np.random.default_rng(0)
    cells = np.full((4, 16, 16), -1, np.int8)
    features = rng.normal(0, 0.1, (4, 8, 8, 272)).astype(np.float16)
    rows = []
    for k in range(4):
        cells[k, 4:10, 4:10] = 0
        features[k, 2:5, 2:5, k % 2] += 3
        noun = ("mug", "ball")[k % 2]
        rows.append(
            [
                {
                    "nouns": [noun],
                    "doubtful": ["cup"],
                    "categories": [noun + "s"],
                    "colors": ["red"],
                    "maybe_colors": ["red"],
                    "uv": [55.5, 55.5],
                }
            ]
        )
    np.save(tmp_path / "features.npy", features)
    np.save(tmp_path / "cells.npy", cells)
    (tmp_path / "objects.json").write_text(json.dumps(rows))
    return FeatureFolder(tmp_path)


def test_it_learns_names_and_places(folder: FeatureFolder, tmp_path: Path) -> None:
    train([folder], tmp_path / "run", epochs=40, widths=(8, 8), batch=4, rate=1e-2)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.6 * losses[0]
    assert torch.load(tmp_path / "run" / "network.pt", weights_only=True)["words"]["nouns"] == ("ball", "mug")


def test_words_about_which_people_differ_do_not_count(folder: FeatureFolder) -> None:
    torch.manual_seed(0)
    network = fresh_network([folder], (8, 8))
    values = torch.from_numpy(folder.features[:1].astype(np.float32)).permute(0, 3, 1, 2)
    normalized = network.normalized(values)
    hidden = network.cells(normalized)[0]
    rows = folder.objects[0]

    def loss(doubtful: list[str]) -> float:
        torch.manual_seed(1)
        told = [{**rows[0], "doubtful": doubtful}]
        return image_loss(network, hidden, normalized[0], targets_of(folder.cells[0], told, network.words)).item()

    assert loss(["ball"]) < loss([])
    assert loss(["mug"]) == loss([]), "a word that certainly fits counts in any case"
