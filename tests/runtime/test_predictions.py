from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from graphc.runtime import RunError, predict_table, write_csv, write_json


def test_classes_vectors_and_scalars(toy):
    raw = toy.raw_data(5)
    del raw["species"]
    state = toy.init(3)
    records = predict_table(toy, state, raw, batch=2)
    assert len(records) == 5
    outputs = toy.predict(state, toy.prepare(raw, state))
    for row, record in enumerate(records):
        assert list(record) == ["y", "probs", "margin", "code"]
        assert record["y"] == toy.NAMES[outputs["probs"][row].argmax()]
        assert list(record["probs"]) == toy.NAMES
        assert record["margin"] == outputs["margin"][row]
        assert record["code"] == [float(str(v)) for v in outputs["code"][row]]


def test_csv(toy):
    state = toy.init(3)
    records = predict_table(toy, state, toy.raw_data(4))
    stream = io.StringIO(newline="")
    write_csv(records, stream)
    rows = list(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert rows[0] == ["y", *(f"probs.{name}" for name in toy.NAMES), "margin", "code.0", "code.1"]
    assert len(rows) == 5
    assert {row[0] for row in rows[1:]} <= set(toy.NAMES)
    for cell in rows[1][1:4]:
        assert str(np.float32(cell)) == cell  # the shortest form that names the float32
    empty = io.StringIO()
    write_csv([], empty)
    assert empty.getvalue() == ""


def test_json(toy):
    records = predict_table(toy, toy.init(3), toy.raw_data(4))
    stream = io.StringIO()
    write_json(records, stream)
    assert json.loads(stream.getvalue()) == records
    stream = io.StringIO()
    write_json([{"a": float("nan")}], stream)
    assert json.loads(stream.getvalue()) == [{"a": None}]


def test_numbers_stand_for_classes_without_names(toy):
    toy.classes = {}
    record = predict_table(toy, toy.init(), {"points": np.zeros((1, 2))})[0]
    assert list(record["probs"]) == ["0", "1", "2"]


def test_one_label_a_token(toy):
    toy.signature = {
        **toy.signature,
        "outputs": {"tags": {"kind": "real", "shape": ["n", 2, 3], "target": "y"}},
    }
    values = np.array([[[1, 2, 0], [0, 0, 5]]], np.float32)
    toy.predict = lambda state, inputs: {"tags": values}
    record = predict_table(toy, toy.init(), {"points": np.zeros((1, 2))})[0]
    assert record["y"] == ["dog", toy.NAMES[2]]
    assert record["tags"][0]["dog"] == 2
    stream = io.StringIO()
    write_csv([record], stream)
    assert stream.getvalue().startswith("y.0,y.1,tags.0.cat,")


def test_original_units(toy):
    module = toy.regression()
    state = {**module.init(), "w": np.array(2.0)}
    assert predict_table(module, state, {"x": np.array([1, 2])}) == [
        {"guess": 120.0},
        {"guess": 140.0},
    ]


def test_a_model_without_a_batch(toy):
    module = toy.single()
    state = {**module.init(), "w": np.array(2.0)}
    assert predict_table(module, state, {"x": np.arange(3)}) == [
        {"guess": 0.0},
        {"guess": 2.0},
        {"guess": 4.0},
    ]


def test_errors(toy):
    with pytest.raises(RunError, match="no column points, which x reads") as caught:
        predict_table(toy, toy.init(), {"piont": np.zeros((1, 2)), "k": np.zeros(1)})
    assert caught.value.help == "did you mean 'piont'? the data has piont, k"
    toy.signature = {**toy.signature, "outputs": {}}
    with pytest.raises(RunError, match="no output"):
        predict_table(toy, toy.init(), {"points": np.zeros((1, 2))})
