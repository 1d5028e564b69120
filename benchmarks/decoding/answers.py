"""Whole answers: to the first point, to the end, with 1 to 40 points, several at once, and again."""

import math
from typing import Any

from benchmarks.decoding.material import Material, Scripted, one_point_script, scripted_answers
from benchmarks.decoding.protocol import Gate, Line, Protocol, Section, Series, line
from molmo_point.backend import Prompt


class Bench:
    """Measures one subject; every method gives a section.

    Args:
        subject: `benchmarks.decoding.subject.Subject`.
        material: Frame and questions.
        protocol: Number of runs.
        gate: Compares tokens with plain greedy decoding.
        most_tokens: Longest answer that is the model's own.
    """

    def __init__(self, subject: Any, material: Material, protocol: Protocol, gate: Gate, most_tokens: int = 200) -> None:
        from benchmarks.decoding.naive import NaiveMolmo
        from benchmarks.decoding.peer import has_peer, qwen2_peer

        self.subject, self.material, self.protocol, self.gate = subject, material, protocol, gate
        self.most_tokens = most_tokens
        self.longest = int(subject.model.config.max_position_embeddings)
        self.naive = NaiveMolmo(subject.model, capacity=self.longest)
        self.peer = qwen2_peer(subject.model) if has_peer(subject.model.config) else None

    def engine(self, **options: bool) -> Any:
        """A fresh engine."""
        from benchmarks.decoding.oracle import OracleEngine
        from molmo_point.model.decoding.engine import Options

        return OracleEngine(self.subject.model, self.subject.processor, Options(**options))

    def scripts(self, prompts: tuple[Prompt, ...]) -> list[tuple[int, ...]]:
        """Scripts for a subject whose words mean nothing; empty for a trained one."""
        if self.subject.trained:
            return []
        encode = self.subject.processor.encode_text
        return [one_point_script(encode, prompt, seed) for seed, prompt in enumerate(prompts)]

    def first_point(self) -> Section:
        """One question: how long until its first point, and until the answer is whole."""
        from benchmarks.decoding.paths import (
            engine_answers,
            engine_first_point,
            generate_answer,
            naive_answer,
            tokens_to_first_point,
        )

        subject, image, prompt = self.subject, self.material.image, self.material.prompts[0]
        scripts = self.scripts((prompt,))
        script = scripts[0] if scripts else None
        reference = generate_answer(subject, image, prompt, self.most_tokens, script)
        count = tokens_to_first_point(subject.processor, reference.token_ids)
        engine = self.engine(last_answer=False, reuse_image=False)
        runs = {
            "naive, whole answer": lambda: naive_answer(subject, self.naive, image, prompt, self.most_tokens, script),
            "naive, first point": lambda: naive_answer(subject, self.naive, image, prompt, count, script),
            "plain generate, whole answer": lambda: generate_answer(subject, image, prompt, self.most_tokens, script),
            "plain generate, first point": lambda: generate_answer(subject, image, prompt, count, script),
            "ours, whole answer": lambda: engine_answers(engine, image, [prompt], self.most_tokens, scripts)[0],
            "ours, first point": lambda: engine_first_point(engine, image, prompt, self.most_tokens, scripts),
        }
        if self.peer is not None:
            runs["Qwen2 of transformers, whole answer"] = lambda: generate_answer(
                subject, image, prompt, self.most_tokens, script, self.peer
            )
        timed = self.protocol.measure(runs)
        lines = []
        for name, series in timed.items():
            tokens = series.outcome.token_ids
            expected = reference.token_ids if "whole" in name else reference.token_ids[: len(tokens)]
            self.gate.check(name, tokens, expected)
            base = timed["plain generate, whole answer"]
            lines.append(line(name, series, base, passes=series.outcome.passes, tokens=len(tokens)))
        note = "Ratio: speed-up over the plain whole answer (transformers' generate, same weights)."
        return Section("first_point", "One question, one answer", note + self._script_note(bool(script)), tuple(lines))

    def points(self, counts: tuple[int, ...]) -> Section:
        """Answers with many points."""
        from benchmarks.decoding.paths import engine_answers, generate_answer, naive_answer

        subject, image = self.subject, self.material.image
        lines: list[Line] = []
        for answer in self._fitting(counts):
            script, prompt, most = answer.tokens, answer.prompt, len(answer.tokens) + 1
            fresh, plain = self.engine(last_answer=False, reuse_image=False), "plain generate"
            timed = self.protocol.measure(
                {
                    "naive": lambda p=prompt, s=script, m=most: naive_answer(subject, self.naive, image, p, m, s),
                    plain: lambda p=prompt, s=script, m=most: generate_answer(subject, image, p, m, s),
                    "ours": lambda p=prompt, s=script, m=most, e=fresh: engine_answers(e, image, [p], m, [s])[0],
                }
            )
            for name, series in timed.items():
                self.gate.check(f"{answer.count} points, {name}", series.outcome.token_ids, script)
                per_point = series.outcome.passes / answer.count
                title = f"{answer.count} point{'s' if answer.count > 1 else ''}, {name}"
                facts = {"passes": series.outcome.passes, "passes_per_point": per_point}
                lines.append(line(title, series, timed[plain], ms_per_point=series.median_ms / answer.count, **facts))
        note = "Ratio: speed-up over plain `generate`." + self._script_note(True)
        return Section("points", "Answers with 1 to 40 points", note, tuple(lines))

    def _fitting(self, counts: tuple[int, ...]) -> list[Scripted]:
        """Scripts that fit behind the image in the model's context."""
        from benchmarks.decoding.paths import sequence

        answers = scripted_answers(self.subject.processor.encode_text, counts)
        length = len(sequence(self.subject, self.material.image, answers[0].prompt)[0])
        return [answer for answer in answers if length + len(answer.tokens) + 65 < self.longest]

    def queries(self, counts: tuple[int, ...]) -> Section:
        """Several questions about one frame, in one batch and one after the other."""
        from benchmarks.decoding.paths import engine_answers, generate_answer

        subject, image = self.subject, self.material.image
        together, apart = self.engine(last_answer=False), self.engine(last_answer=False, reuse_image=False)
        lines: list[Line] = []
        one: Series | None = None
        for count in counts:
            prompts = self.material.prompts[:count]
            scripts = self.scripts(prompts)
            each: list[Any] = [(p, [s]) for p, s in zip(prompts, scripts)] if scripts else [(p, []) for p in prompts]
            timed = self.protocol.measure(
                {
                    "batch": lambda ps=prompts, ss=scripts: engine_answers(together, image, ps, self.most_tokens, ss),
                    "one by one": lambda qs=each: [engine_answers(apart, image, [p], self.most_tokens, s)[0] for p, s in qs],
                },
                before={"batch": together.forget},
            )
            one = one or timed["batch"]
            for index, prompt in enumerate(prompts):
                plain = generate_answer(subject, image, prompt, self.most_tokens, scripts[index] if scripts else None)
                for name, series in timed.items():
                    self.gate.check(f"{count} questions, {name}", series.outcome[index].token_ids, plain.token_ids)
            for name, series in timed.items():
                facts = {"times_one_question": series.median_ms / one.median_ms}
                lines.append(line(f"{count} in one frame, {name}", series, timed["one by one"], **facts))
        note = "Ratio: speed-up over our own answers one after the other, each reading the image again."
        return Section("queries", "Several questions about one frame", note + self._script_note(bool(scripts)), tuple(lines))

    def repeats(self) -> Section:
        """A count after a point, the same frame again, and a new frame that looks the same."""
        from benchmarks.decoding.paths import engine_answers, generate_answer

        subject, image, prompt = self.subject, self.material.image, self.material.prompts[0]
        scripts = self.scripts((prompt, self.material.counting))
        first, second = ([scripts[0]], [scripts[1]]) if scripts else ([], [])
        fresh, again = self.engine(last_answer=False, reuse_image=False), self.engine()
        counting, alike = self.engine(last_answer=False), self.engine(reuse_image=False)

        def seen() -> None:
            counting.forget()
            engine_answers(counting, image, [prompt], self.most_tokens, first)

        def ask(engine: Any, words: Prompt, script: Any) -> Any:
            return lambda: engine_answers(engine, image, [words], self.most_tokens, script)[0]

        for engine in (again, alike):
            ask(engine, prompt, first)()
        timed = self.protocol.measure(
            {
                "point, nothing known": ask(fresh, prompt, first),
                "point, same frame again": ask(again, prompt, first),
                "point, new frame, nothing moved": ask(alike, prompt, first),
                "count, nothing known": ask(fresh, self.material.counting, second),
                "count after point, same frame": ask(counting, self.material.counting, second),
            },
            before={"count after point, same frame": seen},
        )
        lines = []
        for name, series in timed.items():
            words, script = (prompt, first) if name.startswith("point") else (self.material.counting, second)
            plain = generate_answer(subject, image, words, self.most_tokens, script[0] if script else None)
            self.gate.check(name, series.outcome.token_ids, plain.token_ids)
            base = timed[f"{name.split()[0].rstrip(',')}, nothing known"]
            facts = {"passes": series.outcome.passes, "image_reused": float(series.outcome.image_reused)}
            lines.append(line(name, series, base, **facts))
        note = "Ratio: speed-up over an empty memory."
        return Section("repeats", "The same frame, the same question", note + self._script_note(bool(scripts)), tuple(lines))

    def ladder(self) -> Section:
        """From the naive reference to ours, one change a line."""
        from benchmarks.decoding.paths import engine_answers, engine_first_point, generate_answer, ladder, naive_answer

        subject, image, prompt = self.subject, self.material.image, self.material.prompts[0]
        scripts = self.scripts((prompt,))
        script = scripts[0] if scripts else None
        runs: dict[str, Any] = {
            name: lambda n=naive: naive_answer(subject, n, image, prompt, self.most_tokens, script)
            for name, naive in ladder(subject, self.longest)
        }
        off = {"template": False, "fans": False, "last_answer": False, "reuse_image": False}
        for name, change in (
            ("our engine, nothing drafted", {}),
            ("template drafted", {"template": True}),
            ("second digits drafted, all ten", {"fans": True}),
        ):
            off |= change
            engine = self.engine(**off)
            runs[name] = lambda e=engine: engine_answers(e, image, [prompt], self.most_tokens, scripts)[0]
        early, drafted, whole = self.engine(**off), self.engine(**(off | {"last_answer": True})), self.engine()
        runs["stopped at the first point"] = lambda: engine_first_point(early, image, prompt, self.most_tokens, scripts)
        for name, engine in (("last answer drafted, whole answer", drafted), ("same frame not read again", whole)):
            runs[name] = lambda e=engine: engine_answers(e, image, [prompt], self.most_tokens, scripts)[0]
            runs[name]()
        timed = self.protocol.measure(runs)
        reference = generate_answer(subject, image, prompt, self.most_tokens, script).token_ids
        naive, lines, before = next(iter(timed.values())), [], math.nan
        for name, series in timed.items():
            tokens = series.outcome.token_ids
            self.gate.check(name, tokens, reference[: len(tokens)] if "stopped" in name else reference)
            step = before / series.median_ms
            lines.append(line(name, series, naive, passes=series.outcome.passes, times_the_line_above=step))
            before = series.median_ms
        note = "Ratio: speed-up over the first line; every line keeps the changes of the lines above it."
        return Section("ladder", "One change a line", note + self._script_note(bool(script)), tuple(lines))

    def _script_note(self, scripted: bool) -> str:
        if not scripted:
            return " Answers are the model's own."
        why = "its weights are random" if not self.subject.trained else "this model does not emit so many points"
        return f" An oracle script decides what is said, because {why}; every pass is computed in full."
