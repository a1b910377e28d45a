import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tokcom.errors import ParameterError
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.case_study import cells
from tokcom_lab.case_study.cells import StudySettings, absences, measure
from tokcom_lab.case_study.schemes import SCHEMES, find_schemes

PIXELS, BITS = 256, 16 * 5


def by_scheme(cells):
    return {cell.scheme: cell.figures for cell in cells}


def test_a_cell_is_the_same_alone_and_in_company(settings, jobs, steady):
    job = jobs[0]
    together = steady(measure(settings, job))
    alone = [steady(measure(settings, replace(job, schemes=(name,))))[0] for name in reversed(job.schemes)]
    assert together == alone[::-1]


def test_over_a_good_channel_all_schemes_of_tokens_are_alike(settings, jobs):
    found = by_scheme(measure(settings, jobs[1]))
    for name, figures in found.items():
        assert figures["per"] == figures["ter_channel"] == figures["ter_recovered"] == 0, name
        assert figures["tce"] == pytest.approx(PIXELS / BITS) and figures["transmissions"] == 1
        assert figures["exact_recovery"] is None and figures["delivered"] == 1
        assert figures["psnr_db"] == found["vqgan"]["psnr_db"]


def test_over_a_bad_channel_repeating_costs_and_delivers(settings, jobs):
    found = by_scheme(measure(settings, replace(jobs[0], esn0_db=4.0)))
    once, again = found["vqgan"], found["vqgan+r"]
    assert once["per"] == again["per"] > 0 and once["ter_channel"] == once["ter_recovered"] > 0
    assert again["ter_recovered"] == 0 and again["delivered"] == 1
    assert again["tce"] * again["transmissions"] == pytest.approx(once["tce"])
    assert again["airtime_ms"] == pytest.approx(once["airtime_ms"] * again["transmissions"])
    assert found["list"]["per_recovered"] <= once["per"]


def test_masking_keeps_nothing_of_a_packet_that_failed(settings, jobs):
    found = by_scheme(measure(settings, replace(jobs[0], esn0_db=4.0)))
    # All tokens of failed packets are guessed by a random network, and 4 of 5 bits of a guess are luck.
    assert found["tokcom"]["ter_recovered"] <= found["tokcom"]["per"]
    # So of all tokens that were lost, as many are right as those that were not are not.
    share = 1 - found["tokcom"]["ter_recovered"] / found["tokcom"]["per"]
    assert found["tokcom"]["exact_recovery"] == pytest.approx(share) and share < 0.5


def test_a_codec_that_does_not_fit_is_shown_grey_and_counted(settings, jobs):
    (cell,) = measure(settings, replace(jobs[0], schemes=("webp",)))  # 16 x 16 pixels have 10 bytes
    assert cell.figures["fits"] == 0 and cell.figures["delivered"] == 0 and cell.figures["psnr_db"] < 15


def test_the_cells_of_other_weights_or_settings_are_others(settings):
    fingerprints = {
        replace(settings, **change).fingerprint()
        for change in ({}, {"link": "paper"}, {"attempts": 7}, {"free_container": True}, {"weights": "w"})
    }
    assert len(fingerprints) == 5
    assert len({replace(settings, link="burst", channel=name).fingerprint() for name in ("none", "epa")}) == 2


def test_the_cells_of_another_search_or_other_labels_are_others(settings, tiny_model):
    """Whatever decides the tokens or how they are decoded is part of what a cell is known by."""
    path = tiny_model / "card.json"
    card = json.loads(path.read_text())
    changes = {
        "as it is": lambda card: None,
        "search": lambda card: card["tokenizer"].update(search={"rate": 0.1, "visits": 2}),
        "other visits": lambda card: card["tokenizer"].update(search={"rate": 0.1, "visits": 3}),
        "labels": lambda card: card.update(labels={"sha256": "1" * 64}),
        "names": lambda card: card["classifier"].update(unsure_below=0.5),
    }
    fingerprints = set()
    for change in changes.values():
        changed = json.loads(json.dumps(card))
        change(changed)
        path.write_text(json.dumps(changed))
        fingerprints.add(settings.fingerprint())
    assert len(fingerprints) == len(changes)


def test_another_judge_sees_other_content_in_the_same_pictures(settings, jobs, monkeypatch):
    """Half of the judge's features are the picture's mean, half are 1; it tells dark pictures from bright ones."""

    class Mean:
        def features(self, pictures):
            return np.stack([[picture.mean() / 255, 1.0] for picture in pictures]).astype(np.float32)

        def judged(self, picture):
            return self.features(picture[None])[0], int(picture.mean() > 127)

    monkeypatch.setattr(cells, "PhotographJudge", Mean)
    job = replace(jobs[0], esn0_db=4.0, show=True)
    own, other = measure(settings, job), measure(replace(settings, judge="lite2"), job)
    for one, another in zip(own, other, strict=True):
        assert one.picture == another.picture and one.figures["psnr_db"] == another.figures["psnr_db"]
        received = np.asarray(Image.open(io.BytesIO(another.picture)).convert("RGB"))
        a, b = Mean().features(np.stack([job.picture, received]))
        expected = float(a @ b / np.sqrt((a @ a) * (b @ b)))
        assert another.figures["semantic"] == pytest.approx(expected) != one.figures["semantic"]
        assert another.figures["label_kept"] == float((job.picture.mean() > 127) == (received.mean() > 127))
    assert settings.fingerprint() != replace(settings, judge="lite2").fingerprint()


def test_what_is_decoded_twice_is_the_same_picture(settings, jobs, monkeypatch):
    """At a high Es/N0 all schemes end with the tokens that were sent, which are decoded and compared once."""
    decoded = []
    usual = VQTokenizer.detokenize
    monkeypatch.setattr(VQTokenizer, "detokenize", lambda self, frame: decoded.append(frame) or usual(self, frame))
    found = measure(settings, replace(jobs[1], show=True))
    assert len(decoded) == 1 and len({cell.picture for cell in found}) == 1 and len(found) == 7
    assert len({cell.figures["ms_decode"] for cell in found}) == 1


def test_wrong_settings_are_named(tiny_model):
    with pytest.raises(ParameterError, match="judge is 'eye'; it must be classifier or lite2"):
        StudySettings(str(tiny_model), judge="eye")
    with pytest.raises(ParameterError, match="attempts is 0"):
        StudySettings(str(tiny_model), attempts=0)
    with pytest.raises(ParameterError, match="link is 'x'"):
        StudySettings(str(tiny_model), "x")
    with pytest.raises(ParameterError, match="scheme is 'jpg'; it must be all or some of vqgan"):
        find_schemes(["vqgan", "jpg"])
    assert find_schemes(["all"]) == list(SCHEMES.values())


def test_what_is_not_installed_is_said(settings, tmp_path):
    absent = absences(replace(settings, weights=str(tmp_path)))
    assert {"lpips", "clip", "cheng2020", "cheng2020+r"} <= absent.keys()
    assert all("not installed" in why for why in absent.values())


def test_all_schemes_meet_the_same_noise(settings, jobs):
    found = by_scheme(measure(settings, replace(jobs[0], esn0_db=4.0)))
    assert len({figures["per"] for figures in found.values()}) == 1
    other = by_scheme(measure(settings, replace(jobs[0], esn0_db=5.0, seed=1)))
    assert np.abs(other["vqgan"]["ter_channel"] - found["vqgan"]["ter_channel"]) > 0
