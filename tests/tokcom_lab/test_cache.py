import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tokcom.errors import TokcomError
from tokcom_lab.air.section import Settings
from tokcom_lab.cache import (
    Table,
    begun_array,
    code_of,
    keep_array,
    key_of,
    model_content,
    precision_content,
    tokens_content,
)


def test_a_key_is_that_of_the_content():
    picture = np.arange(12).reshape(3, 4)
    keys = [
        key_of(1), key_of("1"), key_of([1]), key_of({"a": 1, "b": 2}), key_of(Settings()), key_of(Settings(seed=1)),
        key_of(picture), key_of(picture.T), key_of(picture.astype(np.int32)), key_of(Path("x")),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key_of({"b": 2, "a": 1}) == keys[3] and key_of(picture.copy()) == keys[6] and key_of(np.int64(1)) == keys[0]


def test_a_model_is_what_decides_its_results_not_its_name(tiny_model):
    path = tiny_model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))

    def content(change):
        own = json.loads(json.dumps(card))
        change(own)
        path.write_text(json.dumps(own), encoding="utf-8")
        return key_of(model_content(str(tiny_model)))

    plain = content(lambda card: None)
    assert content(lambda card: card.update(name="other", description="new")) == plain
    assert content(lambda card: card["context"].update(figures={"bits": 1})) == plain
    others = {
        content(lambda card: card["context"].update(sha256="1" * 64)),
        content(lambda card: card["context"].update(acceptance={"log_odds": [0]})),
        content(lambda card: card["tokenizer"].update(search={"rate": 0.1, "visits": 2})),
        content(lambda card: card.update(labels={"sha256": "1" * 64})),
    }
    assert len(others) == 4 and plain not in others


def test_tokens_depend_on_the_context_where_they_are_searched_for(tiny_model):
    path = tiny_model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["tokenizer"]["search"] = {"rate": 0.1, "visits": 2}
    found = []
    for own in ("1" * 64, "2" * 64):
        card["context"]["sha256"] = own
        path.write_text(json.dumps(card), encoding="utf-8")
        found.append([tokens_content(str(tiny_model), visits) for visits in (0, 2, 3)])
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1] and found[0][1] != found[0][2]


def test_code_counts_as_it_stands_in_the_files(tmp_path, monkeypatch):
    package = tmp_path / "kept_package"
    (package / "room").mkdir(parents=True)
    files = [package / "__init__.py", package / "room" / "a.py", package / "room" / "b.json", package / "aside.py"]
    for path in files:
        path.write_text("1", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def code():
        code_of.cache_clear()
        return code_of("kept_package"), code_of("kept_package", without=("aside",)), code_of("kept_package.aside")

    seen = [code()]
    for path in files:
        path.write_text("2", encoding="utf-8")
        seen.append(code())
    assert [len(set(column)) for column in zip(*seen, strict=True)] == [5, 4, 2]


def test_onnx_runtime_computes_otherwise_than_processors():
    assert precision_content("onnx") != precision_content("cpu")


def test_results_are_kept_once_and_found_in_order(tmp_path):
    table = Table(tmp_path / "in" / "results.sqlite", "one")
    table.add({"a": ({"x": 1}, b"data"), "b": ({}, None)})
    table.add({"a": ({"x": 2}, None)})
    table.close()
    again = Table(tmp_path / "in" / "results.sqlite", "one")
    assert list(again.find("bca")) == [("b", {}, None), ("a", {"x": 1}, b"data")] and again.keys() == {"a", "b"}
    assert Table(tmp_path / "in" / "results.sqlite", "two").keys() == set()


def test_all_of_a_call_is_kept_or_nothing(tmp_path):
    table = Table(tmp_path / "results.sqlite")
    with pytest.raises(TypeError):
        table.add({"a": ({}, None), "b": ({"x": object()}, None)})
    assert table.keys() == set()


def test_a_file_that_is_no_table_is_named(tmp_path):
    (tmp_path / "broken.sqlite").write_bytes(b"no table, nor ever one " * 40)
    with pytest.raises(TokcomError, match=r"broken\.sqlite: what is kept there cannot be read or written"):
        Table(tmp_path / "broken.sqlite")
    (tmp_path / "file").touch()
    with pytest.raises(TokcomError, match="cannot be read or written"):
        Table(tmp_path / "file" / "results.sqlite")


def test_two_processes_may_write_at_once(tmp_path):
    tables = [Table(tmp_path / "results.sqlite") for _ in range(2)]
    for number, table in enumerate(tables):
        table.add({f"{number}": ({}, None)})
    assert [table.keys() for table in tables] == [{"0", "1"}] * 2
    assert sqlite3.connect(tmp_path / "results.sqlite").execute("SELECT count(*) FROM results").fetchone() == (2,)


def test_an_array_is_filled_step_by_step(tmp_path):
    begun = begun_array(tmp_path / "in" / "a.begun.npy", (2, 3), -1)
    begun[1] = 5
    begun.flush()
    assert begun_array(tmp_path / "in" / "a.begun.npy", (2, 3), -1).tolist() == [[-1] * 3, [5] * 3]
    keep_array(np.arange(3), tmp_path / "to" / "b.npy")
    assert np.load(tmp_path / "to" / "b.npy").tolist() == [0, 1, 2]
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["b.npy"]
