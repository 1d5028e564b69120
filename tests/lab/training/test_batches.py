"""One step's tensors: what the cells say is what the mask shows, and pixels are as at inference."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lab.training.batches import Batch, draw_batch, image_tensors
from lab.training.initial import LAYOUT
from lab.training.lesson import Lesson
from lab.training.questions import Question
from lab.training.shards import SceneSample, plain_object
from lab.training.views import SceneViews, View
from molmo_point.finetuning.packing import IMAGE_SEGMENT
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import prepare_image, token_places
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

PLACES = token_places(0, 0, LAYOUT)
NOTHING = [len(COLORS), len(SHAPES)]


@pytest.fixture(scope="module")
def batch(source: SceneViews, processor: MolmoProcessor) -> Batch:
    torch.manual_seed(0)
    return draw_batch(source, processor, PLACES, 5, 4, np.random.default_rng(2))


class OneView(Lesson):
    """Always draws the same view and asks the same question."""

    def __init__(self, view: View, example: TrainingExample) -> None:
        object.__setattr__(self, "view", view)
        object.__setattr__(self, "example", example)

    def draw(self, source: object, rng: np.random.Generator, augment: bool = True) -> View:
        return self.view  # type: ignore[attr-defined]

    def ask(self, view: View, count: int, rng: np.random.Generator) -> list[TrainingExample]:
        return [self.example]  # type: ignore[attr-defined]


@pytest.fixture
def block() -> SceneSample:
    """320 × 240 with one object over columns 96…127 and rows 0…31."""
    mask = np.full((240, 320), -1, np.int8)
    mask[0:32, 96:128] = 0
    color = np.where(mask[..., None] == 0, 200, 40).astype(np.uint8).repeat(3, -1)
    return SceneSample(color, mask, [plain_object("green", "cube", 35.0, 100 / 15)])


def question(prompt: str, answer: str, targets: tuple[int, ...], **more: object) -> Question:
    kind = AnswerKind.POINTS if targets else AnswerKind.ABSENT
    return Question(prompt, answer, kind=kind, topic="color_name", phrase="", targets=targets, **more)  # type: ignore[arg-type]


ONE_CUBE = question("Point to green cube", '<point x="35.0" y="6.7" alt="green cube">green cube</point>', (0,))


def one_batch(
    source: SceneViews, sample: SceneSample, processor: MolmoProcessor, example: Question = ONE_CUBE, size: int = 2
) -> Batch:
    lesson = OneView(source.view(sample), example)
    return draw_batch(source, processor, PLACES, size, 1, np.random.default_rng(0), lesson)


def test_pixels_are_prepared_as_at_inference() -> None:
    rng = np.random.default_rng(3)
    for height, width in [(240, 320), (171, 233), (320, 240), (300, 300)]:
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        ours = image_tensors([image], LAYOUT, None)[0].numpy()
        np.testing.assert_allclose(ours, prepare_image(image, LAYOUT).images, atol=2e-6)


def test_varied_colours_stay_colours_and_padding_stays_black() -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    plain, varied = (image_tensors([image], LAYOUT, rng)[0, 0] for rng in (None, np.random.default_rng(1)))
    torch.testing.assert_close(varied[:40], plain[:40])  # the first two rows of patches are padding
    assert 0.01 < float((varied[200:220] - plain[200:220]).abs().mean()) < 1.5


def test_the_cells_of_a_block(source: SceneViews, block: SceneSample, processor: MolmoProcessor) -> None:
    # Shrunk to 240 × 180 and set 30 below the top: columns 72…95, rows 30…53; a token is 24 px wide.
    batch = one_batch(source, block, processor)
    tokens, patches = batch.token_cells, batch.patch_cells
    assert torch.nonzero(tokens.filled[0]).flatten().tolist() == [13, 23]
    # A patch is 12 px: columns 6 and 7, rows 2 (half), 3 and 4 (half).
    assert torch.nonzero(patches.filled[0]).flatten().tolist() == [46, 47, 66, 67, 86, 87]
    for cells in (tokens, patches):
        where = cells.filled[0]
        assert cells.classes[0][where].unique(dim=0).tolist() == [[list(COLORS).index("green"), SHAPES.index("cube")]]
        assert cells.classes[0][~where].unique(dim=0).tolist() == [NOTHING]
        torch.testing.assert_close(cells.xy[0][where][0], torch.tensor([0.35, 1 / 15]))


def test_the_places_of_a_block(source: SceneViews, block: SceneSample, processor: MolmoProcessor) -> None:
    batch = one_batch(source, block, processor)
    places = batch.places
    assert places.row.tolist() == [0] * 7 + [1] * 7
    assert places.character.tolist() == [0, 1, 2, 3, 0, 1, 2] * 2
    assert places.value.tolist() == ([350] * 4 + [67] * 3) * 2
    expected = torch.zeros(100)
    expected[13], expected[23] = 0.75, 0.25
    torch.testing.assert_close(places.tokens, expected.expand(14, -1))
    torch.testing.assert_close(places.xy, torch.tensor([0.35, 1 / 15]).expand(14, -1))


def test_cells_agree_with_the_rendered_masks(source: SceneViews, processor: MolmoProcessor) -> None:
    """A token's class is that of the object that fills most of it; counted here pixel by pixel."""
    drawn: list[SceneSample] = []

    class Keeping(Lesson):
        def draw(self, views: object, rng: np.random.Generator, augment: bool = True) -> View:
            drawn.append(source.shards.draw(rng, augment=False))
            return source.view(drawn[-1])

    batch = draw_batch(source, processor, PLACES, 4, 2, np.random.default_rng(6), Keeping())
    assert len(drawn) == 4
    checked = 0
    for k, sample in enumerate(drawn):
        for cell in range(100):
            # 240 × 320 shrinks by 3/4 and starts 30 px below the crop's top.
            top, left = 24 * (cell // 10) - 30, 24 * (cell % 10)
            v = [int((r + 0.5) * 4 / 3) for r in range(top, top + 24) if 0 <= r < 180]
            u = [int((c + 0.5) * 4 / 3) for c in range(left, left + 24)]
            seen = sample.mask[np.ix_(v, u)].ravel() if v else np.zeros(0, np.int8)
            counts = np.bincount(seen[seen >= 0].astype(int), minlength=len(sample.objects) + 1)
            share = counts.max() / 576
            if abs(share - 0.12) < 0.02 or np.sort(counts)[-1] == np.sort(counts)[-2] > 0:
                continue
            assert bool(batch.token_cells.filled[k, cell]) == (share > 0.12)
            if share > 0.12:
                thing = sample.objects[int(counts.argmax())]
                (color,) = thing.colors
                expected = [list(COLORS).index(color), SHAPES.index(thing.noun)]
                assert batch.token_cells.classes[k, cell].tolist() == expected
                checked += 1
    assert checked > 20


def test_rows_are_padded_on_the_right_and_padding_has_no_loss(batch: Batch) -> None:
    padding = batch.segments == 0
    assert (batch.weights[padding] == 0).all() and (batch.labels[padding] == -100).all()
    assert not padding[:, 0].any()
    assert ((~padding).long().diff(dim=1) <= 0).all()
    assert (~padding).all(dim=1).any()
    assert ((batch.weights > 0) == (batch.labels >= 0)).all()


def test_image_vectors_go_to_patch_tokens(batch: Batch, processor: MolmoProcessor) -> None:
    assert batch.images.shape == (5, 1, 400, 432)
    assert batch.image_input_idx.shape == (5, 1, 100)
    patch = processor.image_ids["<im_patch>"]
    for ids, places, segments in zip(batch.input_ids, batch.image_input_idx, batch.segments, strict=True):
        assert (ids[places[0].long()] == patch).all()
        assert (segments[places[0].long()] == IMAGE_SEGMENT).all()
    # As the processor writes the mask of an overview alone.
    assert (batch.image_masks == -1).all()
    assert batch.image_masks.shape == tuple(processor(np.zeros((9, 9, 3), np.uint8), "x").image_masks.repeat(5, 1, 1).shape)


def test_targets_share_their_pixels_among_the_tokens(batch: Batch) -> None:
    p = batch.places
    assert len(p.row) > 10
    torch.testing.assert_close(p.tokens.sum(-1), torch.ones(len(p.row)))
    centre = torch.stack([torch.arange(100) % 10, torch.arange(100) // 10], -1) * 0.1 + 0.05
    middle = p.tokens @ centre.float()
    assert float((middle[:, 0] - p.xy[:, 0]).abs().max()) < 0.06


@pytest.mark.parametrize("change", [lambda r: np.random.default_rng(r), lambda r: np.random.default_rng(r + 1)])
def test_a_batch_is_decided_by_its_seeds(
    source: SceneViews, processor: MolmoProcessor, change: Callable[[int], np.random.Generator]
) -> None:
    def draw(rng: np.random.Generator) -> Batch:
        torch.manual_seed(9)
        return draw_batch(source, processor, PLACES, 3, 2, rng)

    one, two = draw(np.random.default_rng(5)), draw(change(5))
    same = one.images.shape == two.images.shape and torch.equal(one.images, two.images)
    assert same == (change(5).integers(10**9) == np.random.default_rng(5).integers(10**9))


def test_a_batch_without_points_has_no_places(source: SceneViews, block: SceneSample, processor: MolmoProcessor) -> None:
    batch = one_batch(source, block, processor, question("Point to red ball", "There are none.", ()))
    assert len(batch.places.row) == 0
    assert batch.places.tokens.shape == (0, 100)


def test_answers_look_at_their_targets_from_the_start(batch: Batch) -> None:
    looks, places = batch.looks, batch.places
    torch.testing.assert_close(looks.tokens.sum(-1), torch.ones(len(looks.row)), atol=1e-5, rtol=0)
    extra = slice(len(places.row), None)
    assert len(looks.row[extra]) > 0
    for row, place in zip(looks.row[extra], looks.place[extra], strict=True):
        # The start of an answer has loss, and the token before it has none: it is the prompt's end.
        assert batch.weights[row, place] > 0
        assert batch.weights[row, place - 1] == 0


def test_the_start_of_an_answer_looks_at_all_its_targets(
    source: SceneViews, block: SceneSample, processor: MolmoProcessor
) -> None:
    mask = block.mask.copy()
    mask[200:232, 224:256] = 1
    two = SceneSample(block.color, mask, [*block.objects, plain_object("green", "cube", 75.0, 90.0)])
    answer = '<points x1="35.0" y1="6.7" x2="75.0" y2="90.0" alt="green cubes">green cubes</points>'
    made = one_batch(source, two, processor, question("Point to green cubes", answer, (0, 1)), size=1)
    last, seen = made.looks.tokens[-1].reshape(10, 10), made.token_cells.filled[0].reshape(10, 10)
    assert bool((last[seen] > 0).all())
    assert float(last[:5].sum()) == pytest.approx(0.5, abs=1e-5)
    named = question("Point to green cubes", answer, (0, 1), mentions=(("green cubes", (0, 1)),))
    mentions = one_batch(source, two, processor, named, size=1).mentions
    torch.testing.assert_close(mentions.tokens[0].reshape(10, 10), last)
    assert int(mentions.place[0]) < int(made.looks.place[-1])
    absent = one_batch(source, two, processor, question("Point to red balls", "There are none.", ()), size=1)
    assert len(absent.looks.row) == 0
