"""Descriptions: codes of points as the air interface says, read from the file of tables by hand; sentences."""

import json
import struct
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.context.description import (
    POINT,
    STAGES,
    TABLES,
    WIDTH,
    WORDS,
    of_point,
    of_sentence,
    point_of,
    quantize,
    sentence_of,
    tables,
)
from tokcom.errors import ParameterError


def stored():
    """The file's words, as integers, and scales, by the format of safetensors."""
    data = TABLES.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    first, last = header["words"]["data_offsets"]
    assert header["words"]["dtype"] == "I8" and header["words"]["shape"] == [STAGES, WORDS, WIDTH]
    scales = body[slice(*header["scales"]["data_offsets"])]
    return body[first:last], struct.unpack(f"<{STAGES}f", scales)


def point_by_hand(code, body, scales):
    total = [0.0] * WIDTH
    for stage, word in enumerate(code):
        start = (stage * WORDS + word) * WIDTH
        for place, byte in enumerate(body[start : start + WIDTH]):
            total[place] += scales[stage] * (byte - 256 if byte > 127 else byte)
    length = sqrt(sum(each * each for each in total))
    return [each / length for each in total]


@pytest.mark.parametrize("code", [(0,), (255,), (3, 14, 15), (92, 65, 35, 89, 79, 32), (0,) * 8, (255,) * 8])
def test_a_code_is_the_direction_of_its_words(code):
    assert point_of(bytes([POINT, *code])) == pytest.approx(np.array(point_by_hand(code, *stored())), abs=1e-5)


def test_a_code_is_found_word_by_word():
    """The nearest word of each stage, by distances written out; its beginning is the code of fewer bytes."""
    point = np.random.default_rng(0).normal(size=WIDTH)
    left, code = point / np.linalg.norm(point), []
    for stage in tables().astype(float):
        code.append(int(np.square(stage - left).sum(axis=1).argmin()))
        left = left - stage[code[-1]]
    assert of_point(7 * point, STAGES) == bytes([POINT, *code])
    assert [of_point(point, n) for n in range(1, STAGES)] == [bytes([POINT, *code[:n]]) for n in range(1, STAGES)]


def test_more_bytes_are_closer():
    points = np.stack([point_of(bytes([POINT, a, b])) for a, b in np.random.default_rng(1).integers(0, 256, (40, 2))])
    likeness = [np.mean([each @ point_of(of_point(each, n_bytes)) for each in points]) for n_bytes in (1, STAGES)]
    assert likeness[0] + 0.05 < likeness[1]
    codes = quantize(points, tables())
    assert codes.dtype == np.uint8 and codes.shape == (40, STAGES)


@given(st.binary(max_size=260))
def test_any_bytes_are_one_of_the_two_or_nothing(data):
    point, sentence = point_of(data), sentence_of(data)
    assert point is None or (np.isfinite(point).all() and np.linalg.norm(point) == pytest.approx(1, abs=1e-5))
    assert sentence is None or (sentence.isprintable() and of_sentence(sentence)[:1] == data[:1])
    assert point is None or sentence is None


@pytest.mark.parametrize("text", ["a dog", "ein Hund am Strand, früh", "犬"])
def test_a_sentence_comes_back(text):
    assert sentence_of(of_sentence(text)) == text and of_sentence(f"  {text} ") == of_sentence(text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: of_point(np.zeros(WIDTH)), "384 finite numbers, not all 0"),
        (lambda: of_point(np.ones(5)), r"shape \(5,\)"),
        (lambda: of_point(np.ones(WIDTH), 9), "n_bytes is 9; it must be 1 to 8"),
        (lambda: of_point(np.ones(WIDTH), 0), "n_bytes is 0"),
        (lambda: of_sentence("  "), "takes 0 bytes"),
        (lambda: of_sentence("x" * 240), "takes 240 bytes; it must be 1 to 239"),
        (lambda: of_sentence("a\x07b"), "printable"),
    ],
)
def test_what_cannot_be_told_is_named(wrong, message):
    with pytest.raises(ParameterError, match=message):
        wrong()
