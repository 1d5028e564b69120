"""Times are interleaved and told as medians; tokens are compared; figures become data and tables."""

import json
import math
from typing import Any

import numpy as np
import pytest

from benchmarks.decoding import protocol
from benchmarks.decoding.material import material, one_point_script, pointing, scripted_answers
from benchmarks.decoding.pass_counts import pass_counts
from benchmarks.decoding.protocol import Gate, Line, Protocol, Section, Series, line
from benchmarks.decoding.report import Report, as_data, cells, facts_lines, markdown
from molmo_point.points.parse import parse_answer


def test_variants_take_turns_after_the_warm_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = [0.0], []

    def run(name: str, seconds: float) -> Any:
        def work() -> str:
            order.append(name)
            clock[0] += seconds * (10 if len(order) <= 2 else 1)
            return name.upper()

        return work

    monkeypatch.setattr(protocol.time, "perf_counter", lambda: clock[0])
    waits: list[int] = []
    measured = Protocol(1, 3, lambda: waits.append(1)).measure(
        {"a": run("a", 0.002), "b": run("b", 0.004)}, before={"b": run("before", 5.0)}
    )
    assert order == ["a", "before", "b"] * 4
    assert measured["a"].times_ms == pytest.approx((2, 2, 2)) and measured["b"].times_ms == pytest.approx((4, 4, 4))
    assert (measured["a"].outcome, measured["b"].outcome) == ("A", "B")
    assert len(waits) == 2 * 2 * 4


def test_medians_quantiles_ratios_and_shares_of_the_floor() -> None:
    fast, slow = Series((1.0, 2.0, 9.0)), Series((8.0, 8.0, 8.0))
    told = line("fast", fast, slow, floor_ms=0.5, passes=3)
    assert (told.median_ms, told.min_ms, told.ratio, told.floor_percent) == (2.0, 1.0, 4.0, 25.0)
    assert told.p95_ms == pytest.approx(np.quantile(fast.times_ms, 0.95))
    assert math.isnan(line("alone", fast).ratio) and math.isnan(line("alone", fast).floor_percent)


def test_the_gate_counts_what_differs() -> None:
    gate = Gate()
    gate.check("same", (1, 2), [1, 2])
    gate.check("short", (1,), (1, 2))
    gate.check("other", (1, 3), (1, 2))
    assert (gate.compared, gate.different, gate.where) == (3, 2, ["short", "other"])


@pytest.fixture
def report() -> Report:
    lines = (
        Line("plain", 1.0, 10.0, 12.0, 9.0, facts={"passes": 26}),
        Line("ours", 2.5, 4.0, 5.0, 3.0, 12.5, {"passes": 4, "passes_per_point": 4.0}),
        Line("again", math.inf),
    )
    gate = Gate(7, 1, ["ours"])
    floor = {"bytes_per_s": 2e10, "flop_per_s": 1e11}
    identity = {"scenes": 2, "answers": 8, "different": 2, "points": 9, "passes": 30, "plain_passes": 200, "examples": []}
    return Report({"model": "m"}, {"device": "d"}, floor, (Section("first", "First", "A note.", lines),), gate, identity)


def test_the_report_as_json_has_no_nan(report: Report) -> None:
    data = json.loads(json.dumps(as_data(report), allow_nan=False))
    assert data["equality"] == {"compared": 7, "different": 1, "where": ["ours"]}
    plain, ours, again = data["sections"][0]["lines"]
    assert ours == {
        "name": "ours", "ratio": 2.5, "median_ms": 4.0, "p95_ms": 5.0, "min_ms": 3.0, "floor_percent": 12.5, "passes": 4,
        "passes_per_point": 4.0,
    }  # fmt: skip
    assert plain["floor_percent"] is None and again["ratio"] is None
    assert report.different == 3


def test_ratios_come_first_then_times_then_the_floor(report: Report) -> None:
    head, rows = cells(report.sections[0])
    assert head == ["", "ratio", "ms", "p95", "min", "% of floor", "passes", "passes a point"]
    assert rows[1] == ["ours", "2.50", "4.0", "5.0", "3.0", "12.5", "4", "4.00"]
    assert rows[2] == ["again", "∞", "–", "–", "–", "–", "–", "–"]
    text = markdown(report)
    assert "| ours | 2.50 | 4.0 |" in text and "A note." in text
    words = "\n".join(facts_lines(report))
    assert "7 answers, 1 differ" in words and "they differ in: ours" in words and "8 answers with 9 points, 2 differ" in words


# --- What is asked ----------------------------------------------------------------------------------------------


def test_scripts_hold_as_many_points_as_they_say_and_repeat() -> None:
    answers = scripted_answers(lambda text: list(text.encode()), (1, 5, 40))
    for answer in answers:
        text = bytes(answer.tokens).decode()
        assert len(parse_answer(text, (640, 480)).points) == answer.count
        assert text == answer.before[0] and text != answer.before[2]
        assert len(parse_answer(answer.before[2], (640, 480)).points) == answer.count
    assert answers == scripted_answers(lambda text: list(text.encode()), (1, 5, 40))
    one = bytes(one_point_script(lambda text: list(text.encode()), pointing("the red mug"), 3)).decode()
    assert len(parse_answer(one, (640, 480)).points) == 1 and 'alt="red mug"' in one


def test_the_frame_has_questions_for_sixteen_and_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    found = material((1280, 720))
    assert found.image.shape == (720, 1280, 3) and found.image.dtype == np.uint8 and found.image.std() > 10
    assert len(set(found.prompts)) == 16 and "1280x720" in found.scene
    monkeypatch.setitem(__import__("sys").modules, "molmo_point.sim.tabletop.scene", None)
    drawn = material()
    assert "no simulator" in drawn.scene and len(set(drawn.prompts)) == 16


# --- Gates ------------------------------------------------------------------------------------------------------


def test_gate_passes_with_the_embedded_tokenizer() -> None:
    from molmo_point.backend import resolve_checkpoint
    from molmo_point.model.inputs.molmo_processor import MolmoProcessor

    section = pass_counts(MolmoProcessor.from_pretrained(resolve_checkpoint("tabletop")), (1, 5, 10))
    found = {line.name: line.facts for line in section.lines}
    for count in ("1 point", "5 points", "10 points"):
        assert found[f"{count}, template"]["first_point"] <= 5 and found[f"{count}, template"]["passes_per_point"] <= 6.1
        fans = found[f"{count}, template and fans"]
        assert fans["first_point"] <= 3 and fans["passes_per_point"] <= 4.1
        assert found[f"{count}, last answer, motion 0 %"]["passes"] == 0
        assert found[f"{count}, last answer, motion 0.05 %"]["passes_per_point"] <= 1
        saved = found[f"{count}, plain"]["passes"] - found[f"{count}, n-grams"]["passes"]
        # One point repeats nothing where its words are tokens of their own.
        assert saved >= 0 if count == "1 point" else saved > 0
    assert found["10 points, plain"]["passes"] / found["10 points, template"]["passes"] >= 2.85


def test_gate_tokens_on_simulated_scenes() -> None:
    from benchmarks.decoding.identity import compare
    from benchmarks.decoding.subject import load_subject
    from molmo_point.backend import resolve_checkpoint

    subject = load_subject(resolve_checkpoint("tabletop"), "tabletop", "cpu")
    result = compare(subject, 2, first_seed=905_000)
    assert (result.scenes, result.answers, result.different) == (2, 8, 0)
    assert result.points > 2 and result.passes * 3 < result.plain_passes
