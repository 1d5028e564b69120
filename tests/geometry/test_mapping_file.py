"""Files of one mapping: whatever they hold, they are read within a second or refused by name."""

import json
import os
import time
from pathlib import Path

import pytest

from molmo_point import InputError
from molmo_point.geometry.mapping_file import MAX_JSON_BYTES, MAX_YAML_BYTES, parse_json, parse_mapping, read_mapping

LAUGHS = ["l0: &l0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
LAUGHS += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 10)]
MERGES = ["m0: &m0 {k: 1}"] + [f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 10)}]}}" for i in range(1, 10)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.json", b'{"fx": 600.0, "names": ["a", null, true]}'),
        ("mark.json", b'\xef\xbb\xbf{"fx": 600.0, "names": ["a", null, true]}'),
        ("wide.json", '{"fx": 600.0, "names": ["a", null, true]}'.encode("utf-16")),
        ("PLAIN.JSON", b'{"fx": 600.0, "names": ["a", null, true]}'),
        ("plain.yaml", b"fx: 600.0\r\nnames: [a, null, true]\r\n"),
        ("mark.yaml", b"\xef\xbb\xbffx: 600.0\nnames: [a, ~, yes]\n"),
        ("plain.yml", b"---\nfx: 6e+2\nnames:\n- a\n-\n- true\n"),
        ("alias.yaml", b"fx: &f 600.0\nnames: [a, null, true]\n"),
        ("no_suffix", b'{"fx": 600.0, "names": ["a", null, true]}'),
    ],
)
def test_json_and_yaml_are_read(tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).write_bytes(text)
    assert read_mapping(tmp_path / name) == {"fx": 600.0, "names": ["a", None, True]}


def test_aliases_and_merges_of_usual_size_are_read() -> None:
    text = "common: &c {unit: m, model: none}\nleft: {<<: *c, model: brown}\nright: *c\n"
    values = parse_mapping(text, "a.yaml")
    assert values["left"] == {"unit": "m", "model": "brown"}
    assert values["right"] == {"unit": "m", "model": "none"}


BAD = {
    "a key twice": ('{"fx": 1, "fx": 2}', "fx: 1\nfx: 2\n"),
    "a key twice inside": ('{"a": [{"b": 1, "c": 2, "b": 1}]}', "a: [{b: 1, c: 2, b: 1}]"),
    "a key twice, quoted": ("fx: 1\n'fx': 2\n",),
    "two merges": ("a: &a {fx: 1}\nb: &b {fx: 2}\nc:\n  <<: *a\n  <<: *b\n",),
    "a huge integer": ('{"fx": ' + "9" * 401 + "}", "fx: " + "9" * 401),
    "a gigantic integer": ('{"fx": ' + "9" * 200_000 + "}", "fx: " + "9" * 200_000),
    "an integer beyond 64 bits": ('{"a": 9223372036854775808}', "a: -9223372036854775809", "a: 0x" + "f" * 30),
    "numbers in base 60 and 8": ("a: 10:20", "a: 1:30.5", "a: 0640"),
    "deep lists": ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "a: " + "[" * 100_000 + "]" * 100_000),
    "deeper than any file": ('{"a": ' + "[" * 40 + "]" * 40 + "}", "a: " + "[" * 40 + "]" * 40, "? " * 1000, "- " * 1000),
    "deep mappings": ('{"a":' * 5000 + "1" + "}" * 5000, "\n".join(" " * k + "a:" for k in range(1000))),
    "aliases that unfold": ("\n".join(LAUGHS),),
    "merges that unfold": ("\n".join(MERGES),),
    "an alias of itself": ("a: &a [*a]", "a: &a {b: *a}", "a: &a\n  <<: *a\n"),
    "unknown alias": ("a: *b",),
    "an object of Python": ("a: !!python/object/apply:os.system ['true']", "a: !!python/name:os.system"),
    "a foreign value of a tag": ('a: !!int ""', "a: !!timestamp x", "a: !!bool x", "a: !!float abc", "a: 2024-13-45"),
    "keys that are no words": ("? [a, b]\n: 1\n", "? {a: 1}\n: 1\n"),
    "two documents": ("a: 1\n---\nb: 2\n", '{"a": 1} {"b": 2}'),
    "zero bytes": ('{"a": "\0"}', "a: \0"),
    "escape sequences": ("a: \x1b[2J",),
    "a half": ('{"a": 1', "a: [1, 2", '{"a"'),
    "no mapping": ("[1, 2]", "- 1\n- 2", "", "null", "word", "1"),
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts], ids=str)
def test_bad_text_is_refused_at_once(kind: str, text: str) -> None:
    name = f"bad.{'json' if text[:1] in '{[' and text[:1] else 'yaml'}"
    began = time.monotonic()
    with pytest.raises(InputError, match=r"bad\.") as error:
        parse_mapping(text, name)
    assert time.monotonic() - began < 1.0
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("data", [b"a: \xff\xfe", b"\x00" * 10, b"\xff\xfea\x00\xd8", b"\x80abc", os.urandom(200)])
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, data: bytes) -> None:
    for name in ("a.json", "a.yaml"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_mapping(tmp_path / name)


@pytest.mark.parametrize(("name", "limit"), [("a.yaml", MAX_YAML_BYTES), ("a.json", MAX_JSON_BYTES)])
def test_a_large_file_is_refused(tmp_path: Path, name: str, limit: int) -> None:
    with open(tmp_path / name, "wb") as file:
        file.truncate(limit + 1)
    with pytest.raises(InputError, match="at most"):
        read_mapping(tmp_path / name)


def test_numbers_that_are_not_finite_are_for_the_caller() -> None:
    assert parse_json('{"a": Infinity}') == {"a": float("inf")}
    for word in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(ValueError, match=word):
            parse_json(f"[{word}]", finite=True)


def test_the_largest_integers_are_read() -> None:
    for value in (2**63 - 1, 1 - 2**63):
        assert parse_json(json.dumps([value])) == [value]
        assert parse_mapping(f"a: {value}", "a.yaml") == {"a": value}
