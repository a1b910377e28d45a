import io

import numpy as np
import pytest
from PIL import Image

from tokcom.errors import ModelError, TokcomError
from tokcom.metrics.pictures import psnr_db
from tokcom.tokenizers.pictures import load_picture, square
from tokcom_lab.case_study.picture_codecs import GREY, load_codec

BUDGET = 320
CODECS = ("webp", "avif", "jpeg2000")


@pytest.fixture(scope="module")
def picture(photographs):
    return square(load_picture(photographs[0]), 64)


@pytest.fixture(scope="module")
def coded(picture):
    return {name: load_codec(name, free_container=True).encode(picture, BUDGET) for name in CODECS}


@pytest.mark.parametrize("name", CODECS)
def test_the_budget_is_met_and_nearly_used(name, picture, coded):
    assert 0.8 * BUDGET < len(coded[name].payload) <= BUDGET
    whole, decodes = load_codec(name, True).decode(coded[name], BUDGET)
    assert decodes and whole.shape == picture.shape
    assert psnr_db(picture, whole) > psnr_db(picture, np.full_like(picture, GREY)) + 5


@pytest.mark.parametrize("name", CODECS)
def test_payload_and_container_make_a_file_that_anyone_reads(name, coded):
    own = coded[name]
    content = own.before + own.payload + own.after
    assert len(content) == len(own.payload) + own.container_bytes
    with Image.open(io.BytesIO(content)) as image:
        assert image.format.lower() == name and image.size[0] <= own.size


@pytest.mark.parametrize("name", ("webp", "jpeg2000"))
def test_a_container_that_travels_counts(name, picture):
    codec = load_codec(name, free_container=False)
    own = codec.encode(picture, BUDGET)
    assert len(own.payload) <= BUDGET and (own.before, own.after) == (b"", b"")
    assert 0 < own.container_bytes < len(own.payload)


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("name", CODECS)
def test_any_beginning_of_a_payload_gives_a_picture(name, free, picture):
    codec = load_codec(name, free)
    own = codec.encode(picture, BUDGET)
    for arrived in range(0, len(own.payload), 23):
        shown, decodes = codec.decode(own, arrived)
        assert shown.shape == picture.shape and shown.dtype == np.uint8
        assert decodes or (shown == GREY).all()
    assert not codec.decode(own, 0)[1]


def test_jpeg2000_of_half_the_bytes_is_better_than_grey(picture, coded):
    own = coded["jpeg2000"]
    half, decodes = load_codec("jpeg2000", True).decode(own, len(own.payload) // 2)
    assert decodes and psnr_db(picture, half) > psnr_db(picture, np.full_like(picture, GREY)) + 2


def test_a_budget_that_nothing_meets_is_an_error(picture):
    with pytest.raises(TokcomError, match=r"jpeg2000 needs more than 10 bytes for a picture of 64 pixels"):
        load_codec("jpeg2000").encode(picture, 10)


def test_learned_codecs_say_what_they_lack(tmp_path):
    with pytest.raises(ModelError, match=r"compressai is not installed|weights not installed"):
        load_codec("cheng2020", weights=tmp_path)
