"""Lessons: captions, short answers, few things first; a plain one draws and asks as the source does."""

from typing import Any

import numpy as np

from lab.training.batches import draw_batch
from lab.training.lesson import POINTING, Lesson, objects_in_view
from lab.training.questions import draw_questions
from lab.training.settings import PretrainSettings
from lab.training.views import SceneViews
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import token_places


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_pointing_is_the_source_itself(source: SceneViews) -> None:
    for seed in range(5):
        one, two = rng(seed), rng(seed)
        view, same = POINTING.draw(source, one), source.draw(two)
        np.testing.assert_array_equal(view.color, same.color)
        assert POINTING.ask(view, 4, one) == draw_questions(same.objects, 4, two, same.vocabulary)
        assert one.random() == two.random()


def test_few_things(source: SceneViews) -> None:
    numbers = [objects_in_view(source.draw(rng(seed))) for seed in range(40)]
    least = int(np.quantile(numbers, 0.25))
    assert max(numbers) > least
    few = [objects_in_view(Lesson(most_objects=least).draw(source, rng(seed))) for seed in range(20)]
    assert max(few) <= least  # or fewer: crops are drawn anew
    Lesson(most_objects=-1).draw(source, rng())  # none has so few: it ends all the same


def test_captions_and_short_answers(source: SceneViews) -> None:
    view = source.draw(rng(3))
    prompts = [example.prompt for seed in range(40) for example in Lesson(captions=True).ask(view, 4, rng(seed))]
    assert len(prompts) == 40
    hinted = [prompt for prompt in prompts if prompt.startswith("long_caption")]
    assert 10 < len(hinted) < 35
    short = [e for seed in range(20) for e in Lesson(short_share=1.0).ask(view, 3, rng(seed))]
    assert short and all(e.prompt.startswith(("vqa2: ", "No pointing: ")) for e in short)
    mixed = [e for seed in range(40) for e in Lesson(short_share=0.5).ask(view, 4, rng(seed))]
    assert 0.3 < np.mean([e.prompt.startswith(("vqa2: ", "No pointing: ")) for e in mixed]) < 0.7


def test_a_batch_of_captions_has_answers_and_no_points(source: SceneViews, processor: MolmoProcessor) -> None:
    places = token_places(0, 0, processor.layout)
    batch = draw_batch(source, processor, places, 3, 2, rng(), Lesson(captions=True))
    assert (batch.weights > 0).any(1).all() and len(batch.places.row) == 0 and len(batch.looks.row) == 0


def run(**changes: Any) -> PretrainSettings:
    return PretrainSettings(**{"scenes": "s", "out": "o", **changes})


def test_the_plan_of_a_run() -> None:
    settings = run(see_images=100, caption_images=50, point_images=1000, short_share=0.25, few_until=0.4, batch=10)
    assert settings.total_steps == 115
    assert [settings.phase(seen) for seen in (0, 99, 100, 149, 150, 1149)] == [*["see"] * 2, *["caption"] * 2, *["point"] * 2]
    assert settings.lesson(100) == settings.lesson(149) == Lesson(captions=True)
    most = [settings.lesson(150 + seen).most_objects for seen in range(0, 400, 20)]
    assert most[0] == 1 and most[-1] == 11 and most == sorted(most, key=lambda n: n or 0)
    assert settings.lesson(550) == settings.lesson(1149) == Lesson(short_share=0.25)
    assert settings.pointed(150) == 0 and settings.pointed(1150) == 1
    plain = run()
    assert all(plain.lesson(seen) == POINTING for seen in range(plain.see_images, plain.see_images + plain.point_images, 5000))
    # Captions and pointing are one schedule.
    captions = run(see_images=0, caption_images=600, point_images=400)
    assert captions.rate(700) == run(see_images=0, point_images=1000).rate(700)
