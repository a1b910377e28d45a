from dataclasses import replace

import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import KeyFileError, LockedError, ParameterError
from tokcom.frame import BitFrame, TokenFrame
from tokcom.link.bursts import Receiver, TransmitConfig, Transmitter
from tokcom.link.packets import MixedPackets
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery
from tokcom.packets.codebook import Codebook
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.packets.seal import Seal
from tokcom.security.key_stream import KeyStream
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key
from tokcom.security.sender import Sender

pytestmark = pytest.mark.filterwarnings("error")

KEY, OTHER_KEY = Key(bytes(range(32))), Key(bytes(32))
BOOK = Codebook("random", 1024)
IDENTITY = PacketIdentity(5, 77, 0x12345678)
MCS = np.array([*range(15), MCS_NOT_SENT] * 2)


class CodeWords:
    """A stream of code words: it makes a packet the plain one of other tokens, as the code is linear."""

    def __init__(self, coded, tokens):
        self._bits = coded.encode(tokens, IDENTITY) ^ coded.encode(np.zeros_like(tokens), IDENTITY)

    def bits(self, stream_id, frame_id, lengths):
        assert (stream_id, frame_id, lengths.sum()) == (5, 77, len(self._bits))
        return self._bits


@pytest.fixture(scope="module")
def noisy():
    """Coded packets, what is added to their tokens, the identity with that stream, the tokens, and noisy LLRs."""
    rng = np.random.default_rng(11)
    coded = MixedPackets(1024, 4, MCS)
    tokens, added = rng.integers(0, 1024, (2, len(MCS), 4))
    sealed = replace(IDENTITY, key_stream=CodeWords(coded, added))
    symbols = coded.map(coded.encode(tokens, sealed))
    assert np.array_equal(symbols, coded.map(coded.encode(tokens ^ added, IDENTITY)))
    received = awgn(symbols, 9.0, rng)
    return coded, added, sealed, tokens, coded.demap(received, np.full(len(received), noise_variance(9.0), np.float32))


def test_viterbi_decodes_the_encrypted_as_it_decodes_the_plain(noisy):
    coded, added, sealed, tokens, llrs = noisy
    (opened, ok), (plain, plain_ok) = coded.decode(llrs, sealed), coded.decode(llrs, IDENTITY)
    sent = MCS != MCS_NOT_SENT
    assert np.array_equal(opened[sent] ^ added[sent], plain[sent]) and np.array_equal(ok, plain_ok)
    assert 0 < ok[sent].sum() < sent.sum() and np.array_equal(opened[ok], tokens[ok])


def test_lists_and_context_lose_nothing_in_any_mcs(noisy):
    """The same posteriors from the same noise; 16-QAM's pairs of bits, which only sent labels explain, among them."""
    coded, added, sealed, tokens, llrs = noisy
    rng, rows = np.random.default_rng(12), np.random.default_rng(13).permutation(len(MCS))
    weights = rng.exponential(size=(len(MCS), 4, 1024)) ** 3
    np.put_along_axis(weights, tokens[..., None], 50, axis=-1)
    priors = np.log(weights / weights.sum(-1, keepdims=True)).astype(np.float32)
    moved = np.take_along_axis(priors, added[..., None] ^ np.arange(1024), axis=-1)
    opened = coded.list_decode(llrs, rows, priors[rows], sealed)
    plain = coded.list_decode(llrs, rows, moved[rows], IDENTITY)
    assert np.array_equal(opened.tokens ^ added[rows], plain.tokens)
    assert np.allclose(opened.posterior, plain.posterior, atol=1e-4)
    assert (opened.tokens == tokens[rows]).all(axis=1).sum() > (coded.decode(llrs, sealed)[1]).sum()


def test_the_fit_of_encrypted_code_words_is_that_of_the_plain(noisy):
    coded, added, sealed, tokens, llrs = noisy
    rows = np.arange(len(MCS))[::-1]
    assert np.allclose(
        coded.beyond_nearest(llrs, rows, tokens[rows], sealed),
        coded.beyond_nearest(llrs, rows, (tokens ^ added)[rows], IDENTITY),
    )
    assert np.allclose(coded.closest_beyond_nearest(llrs, sealed), coded.closest_beyond_nearest(llrs, IDENTITY))


def test_bits_on_the_air_are_even_and_no_other_key_passes_a_check():
    mcs = np.tile([3, 6, 8, 10], 64)
    coded, zeros = MixedPackets(1024, 4, mcs), np.zeros((256, 4), int)
    sealed = replace(IDENTITY, key_stream=KeyStream(KEY, 0, 3))
    bits = coded.encode(zeros, sealed)
    assert abs(bits.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(bits))
    llrs = bits * np.float32(16) - 8
    assert coded.decode(llrs, sealed)[1].all()
    wrong = (KeyStream(OTHER_KEY, 0, 3), KeyStream(KEY, 1, 3), KeyStream(KEY, 0, 4), None)
    assert not any(coded.decode(llrs, replace(IDENTITY, key_stream=each))[1].any() for each in wrong)


def a_frame(frame_id=3):
    return TokenFrame(np.random.default_rng(frame_id).integers(0, 1024, 256), "random", 1024, frame_id=frame_id)


def on_air(*bursts, esn0_db=30.0):
    stream = np.concatenate([np.zeros(400), *(np.r_[burst, np.zeros(400)] for burst in bursts)])
    return awgn(stream, esn0_db, np.random.default_rng(0))


@pytest.fixture
def transmitter(tmp_path):
    return Transmitter(sender=Sender(KEY, tmp_path / "epochs"))


def test_who_has_the_key_reads_tokens_and_bits_and_who_has_not_is_told(transmitter):
    bits = BitFrame(np.random.default_rng(1).integers(0, 2, 900), "bytes", frame_id=4)
    samples = on_air(transmitter.transmit(a_frame()), transmitter.transmit(bits))
    books = [BOOK, Codebook("bytes", 2, "bits")]
    first, second = Receiver(books, keys=Keyring([OTHER_KEY, KEY])).receive(samples)
    assert first.frame == a_frame() and second.frame == bits
    assert first.header.seal == second.header.seal == Seal(KEY.id, 0, 0)
    for keys in (None, Keyring([OTHER_KEY])):
        receiver = Receiver(books, FrameRecovery("list"), keys=keys)
        assert receiver.receive(samples) == [] and receiver.locked == {KEY.id: 2} and receiver.unusable == 0
        assert (
            receiver.last_error
            == f"frame 4 of stream 0 is encrypted with key 0x{KEY.id:04x}, which is not among the keys of this receiver"
        )


def test_lists_recover_what_the_check_lost_of_encrypted_bursts(transmitter):
    samples = on_air(transmitter.transmit(a_frame()), esn0_db=6.0)
    receiver = Receiver([BOOK], FrameRecovery("list"), keys=Keyring([KEY]))
    (got,) = receiver.receive(samples)
    right = got.recovered.frame.tokens == a_frame().tokens
    assert not got.packets_ok.all() and receiver.last_error == ""
    assert right.mean() > (~got.frame.lost).mean() > 0.5
    assert got.recovered.packets_ok.sum() > got.packets_ok.sum()


def test_nothing_is_decoded_of_an_encrypted_burst_without_its_identity(transmitter):
    header = transmitter.header(a_frame(), 0, np.full(64, 6), 4, seal=Seal(0x1234, 0, 0))
    with pytest.raises(LockedError, match="key 0x1234") as caught:
        ReceivedPackets.of_burst(header, 1024, np.zeros(64 * 124, np.float32))
    assert caught.value.key_id == 0x1234


def test_a_frame_sent_again_has_another_stream(transmitter):
    bursts = [transmitter.transmit(a_frame(number)) for number in (3, 4, 3, 3, 5, 1 << 20)]
    receptions = Receiver([BOOK], keys=Keyring([KEY])).receive(on_air(*bursts))
    assert [each.frame.frame_id for each in receptions] == [3, 4, 3, 3, 5, 0]
    assert [each.header.seal.epoch for each in receptions] == [0, 0, 1, 2, 2, 3]
    assert all(each.packets_ok.all() for each in receptions)


def test_nothing_is_sent_where_epochs_cannot_be_counted(tmp_path):
    transmitter = Transmitter(sender=Sender(KEY, tmp_path / "epochs"))
    transmitter.transmit(a_frame())
    (tmp_path / "epochs").write_text("32768\n", encoding="ascii")
    with pytest.raises(KeyFileError, match="all 32768 epochs"):
        transmitter.transmit(a_frame())


def test_labels_that_encryption_would_undo_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="labels is 'semantic' with a key"):
        Transmitter(TransmitConfig(labels="semantic"), sender=Sender(KEY, tmp_path / "epochs"))
