from tokcom.metrics.hints import hint_of


def test_hints_are_told_in_words():
    assert hint_of({}) == "" and hint_of({"esn0_db": 7.0}) == ""
    assert hint_of({"hint": "twice the sample rate"}) == "twice the sample rate"
    assert hint_of({"gap_samples": -3, "tones": 2}) == "3 samples too many; tones taken out: 2"
    meta = {"clipped": 0.034, "gap_samples": 200, "hint": "the channel changes within the burst"}
    assert hint_of(meta) == "the channel changes within the burst; gap of 200 samples; clipping: 3.4% of the samples"


def test_nothing_noticed_is_no_hint_and_neither_is_nonsense():
    assert hint_of({"gap_samples": 0, "clipped": 0.0, "hint": ""}) == ""
    assert hint_of({"clipped": "much"}) == ""
    assert hint_of({"clipped": 0.001}) == "", "of any samples, some are the largest"
