"""One receiver, several models: each frame is recovered by its own."""

import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.context.prior import Prior
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery, LeftOver
from tokcom.link.recovery_set import RecoverySet
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.labels import TokenLabels

SIZE = 64
BOOKS = [
    Codebook(f"{name}@{content}", SIZE, labels={"semantic": TokenLabels(np.random.default_rng(seed).permutation(SIZE))})
    for seed, (name, content) in enumerate((("one", "11111111"), ("two", "22222222"), ("three", "33333333")))
]


class Favourite(Prior):
    """Most tokens are one word."""

    codebook_size, grid, num_classes, n_bytes, at_once = SIZE, None, 5, 1000, 4

    def __init__(self, codebook, word):
        self.codebook, self.word, self.batches = codebook, word, []

    def log_probabilities(self, tokens, wanted, conditions):
        self.batches.append(len(tokens))
        logs = np.full((int(wanted.sum()), SIZE), np.log(0.2 / (SIZE - 1)), np.float32)
        logs[:, self.word] = np.log(0.8)
        return logs


@pytest.fixture
def loaded():
    """What was loaded so far, in order."""
    return []


@pytest.fixture
def models(loaded):
    def load(word, book):
        loaded.append(book.name)
        return FrameRecovery("context", Favourite(book.name, word))

    def several(max_bytes=10_000, books=BOOKS):
        return RecoverySet([(book, lambda w=w, book=book: load(w, book)) for w, book in enumerate(books)], max_bytes)

    return several


def a_frame(number, seed):
    rng = np.random.default_rng(seed)
    tokens = np.where(rng.random(96) < 0.8, number, rng.integers(0, SIZE, 96))
    return TokenFrame(tokens, BOOKS[number].name, SIZE, frame_id=seed, cmi=1)


def left_over(frame, esn0_db=1.0):
    """What the channel leaves of a frame sent under its codebook's own labels."""
    transmitter, receiver = Transmitter(TransmitConfig(labels="semantic"), BOOKS), Receiver(BOOKS)
    packets = transmitter.packetize(frame, 0)
    mcs = transmitter.choose_mcs(len(packets))
    coded, header = transmitter.coded(frame, mcs, 4), transmitter.header(frame, 0, mcs, 4)
    rng = np.random.default_rng(frame.frame_id)
    symbols = awgn(coded.map(coded.encode(packets, header.identity)), esn0_db, rng)
    llrs = coded.demap(symbols, np.full(len(symbols), noise_variance(esn0_db), np.float32))
    frame = receiver.assemble(*receiver.decode(llrs, header), header).frame
    return LeftOver(frame, receiver.received(llrs, header))


def test_bursts_of_all_models_are_recovered_each_by_its_own(models, loaded):
    receiver = Receiver(BOOKS, models())
    sender = Transmitter(TransmitConfig(labels="semantic"), BOOKS)
    frames = [a_frame(number, seed) for seed, number in enumerate((2, 0, 2))]
    air = np.concatenate([np.pad(sender.transmit(frame, 0), 500) for frame in frames])
    got = receiver.receive(air)
    assert [each.recovered.frame for each in got] == frames
    assert loaded == [BOOKS[2].name, BOOKS[0].name], "each with its first frame, and none that nobody sends"


def test_memory_is_bounded_and_what_was_used_longest_ago_goes(models, loaded):
    several = models(max_bytes=2000)
    for number in (0, 1, 0, 2, 0, 1):
        several.recover(a_frame(number, 3))
        assert several.members.bytes_held <= 2000
    assert loaded == [BOOKS[number].name for number in (0, 1, 2, 1)]


def test_one_model_is_loaded_at_once(models, loaded):
    models(books=BOOKS[:1])
    assert loaded == [BOOKS[0].name]


def test_frames_that_wait_are_decoded_as_a_batch_and_come_out_as_alone(models):
    left = [left_over(a_frame(number, seed)) for seed, number in enumerate((0, 1, 0, 0, 1))]
    together = models().recover_all(left)
    alone = [models().recover(each.frame, each.received) for each in left]
    for one, other in zip(together, alone, strict=True):
        assert one.frame == other.frame and np.array_equal(one.confidence, other.confidence)
        assert np.array_equal(one.packets_ok, other.packets_ok)
    assert sum(each.frame.lost.any() for each in left) >= 3, "the channel left work to do"
    several = models()
    several.recover_all(left)
    batches = several.find(left[0].frame).prior.batches
    assert max(batches) == 3, "three frames of a codebook ask together"


def test_a_frame_of_an_unknown_codebook_is_named_and_spares_the_others(models):
    strange = TokenFrame(np.full(96, 1), "four@44444444", SIZE)
    fine = left_over(a_frame(0, 1))
    refused, whole = models().recover_all([LeftOver(strange), fine])
    assert isinstance(refused, ModelError) and "four@44444444; the models here have one@11111111, two" in str(refused)
    assert not whole.frame.lost.any()
    with pytest.raises(ModelError, match="four@44444444"):
        models().recover(strange)


def test_two_codebooks_of_one_id_are_refused(models):
    with pytest.raises(ParameterError, match="have the same id"):
        models(books=[BOOKS[0], Codebook("other@11111111", SIZE)])
