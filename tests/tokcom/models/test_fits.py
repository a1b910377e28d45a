import json
from dataclasses import replace

import pytest

from tokcom.context.acceptance import Acceptance
from tokcom.errors import ModelError
from tokcom.models.fits import load_acceptance, load_residual
from tokcom.models.recovery import load_recovery
from tokcom_lab.training.export import export_acceptance, export_residual


def test_a_contexts_calibration_comes_from_its_card(tiny_model):
    assert load_acceptance(str(tiny_model)) == Acceptance()
    export_acceptance(tiny_model, Acceptance((0.0, 4.0), (-1.0, 3.0)), "./run calibrate")
    assert load_acceptance(str(tiny_model)) == Acceptance((0.0, 4.0), (-1.0, 3.0))
    assert load_recovery(str(tiny_model), "context").mode == "context"
    card = json.loads((tiny_model / "card.json").read_text())
    for broken in ({"log_odds": [1, 0], "calibrated": [0, 1]}, {"log_odds": 3}, {"log_odds": [0.0]}):
        card["context"]["acceptance"] = broken | {"context": card["context"]["sha256"]}
        (tiny_model / "card.json").write_text(json.dumps(card))
        with pytest.raises(ModelError, match="acceptance"):
            load_acceptance(str(tiny_model))


def test_a_calibration_of_another_context_is_refused(tiny_model, edited_part):
    export_acceptance(tiny_model, Acceptance((0.0, 4.0), (-1.0, 3.0)), "./run calibrate")
    residual = replace(load_residual("caltech64"), following=None)
    export_residual(tiny_model, residual)
    assert load_residual(str(tiny_model)) == residual
    for part, load, command in (("acceptance", load_acceptance, "calibrate"), ("residual", load_residual, "residual")):
        entry = json.loads((tiny_model / "card.json").read_text())["context"][part]
        edited_part(tiny_model, "context", **{part: entry | {"context": "0" * 64}})
        with pytest.raises(ModelError, match=rf"for another context; run `\./run {command} --model tiny"):
            load(str(tiny_model))


def test_expectations_of_videos_belong_to_their_prior(tiny_video_model, edited_part):
    residual = replace(load_residual("caltech64"), following=None)
    export_residual(tiny_video_model, residual)
    assert load_residual(str(tiny_video_model)).following is None
    other = replace(residual, frame_db=0.5)
    export_residual(tiny_video_model, other, "following")
    assert load_residual(str(tiny_video_model)) == replace(residual, following=other)
    entry = json.loads((tiny_video_model / "card.json").read_text())["following"]["residual"]
    edited_part(tiny_video_model, "following", residual=entry | {"following": "0" * 64})
    with pytest.raises(ModelError, match=r"for another following; run `\./run residual --videos --model tiny"):
        load_residual(str(tiny_video_model))
