from dataclasses import replace

import numpy as np
import pytest

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.packet_codec import PacketCodec
from tokcom.context.prediction import Prediction
from tokcom.errors import FrameError, KeyFileError, LockedError, ParameterError
from tokcom.frame import BitFrame, TokenFrame
from tokcom.link.assembly import FrameAssembler
from tokcom.link.packets import MixedPackets
from tokcom.link.received import ReceivedPackets
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.bits import tokens_to_bits
from tokcom.packets.codebook import Codebook
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.packets.seal import Seal
from tokcom.security.frame_cipher import Direction, FrameCipher
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key
from tokcom.security.replays import Replays
from tokcom.security.sealer import Sealer

pytestmark = pytest.mark.filterwarnings("error")

KEY, OTHER_KEY = Key(bytes(range(32))), Key(bytes(32))
BOOK = Codebook("random", 1024)
IDENTITY = PacketIdentity(5, 77, 0x12345678)
MCS = np.array([*range(15), MCS_NOT_SENT] * 2)


class Cipher:
    """A stream that is told, and some tags."""

    def __init__(self, bits):
        self._bits, (self._tag, self._presets) = bits, REAL.cipher.tags(40, len(MCS))

    def bits(self, lengths):
        assert lengths.sum() == len(self._bits)
        return self._bits

    def tags(self, n_bits, n_packets):
        assert (n_bits, n_packets) == (40, len(MCS))
        return self._tag, self._presets


def cipher_of(key=KEY, direction=0, epoch=3, tag_bits=32, header=b"header"):
    return FrameCipher(Direction(key, direction, tag_bits), epoch, 5, 77, header)


REAL = replace(IDENTITY, cipher=cipher_of())


@pytest.fixture(scope="module")
def noisy():
    """Coded packets, what is added to their tokens, an identity whose stream adds it, one whose stream is zeros, the
    tokens, and noisy LLRs.

    The stream is one of code words: it makes a packet the plain one of other tokens, as the code is linear.
    """
    rng = np.random.default_rng(11)
    coded = MixedPackets(1024, 4, MCS, tag_bits=32)
    tokens, added = rng.integers(0, 1024, (2, len(MCS), 4))
    plain = replace(IDENTITY, cipher=Cipher(np.zeros(coded.bits.sum(), np.uint8)))
    stream = coded.encode(added, plain) ^ coded.encode(np.zeros_like(added), plain)
    sealed = replace(IDENTITY, cipher=Cipher(stream))
    symbols = coded.map(coded.encode(tokens, sealed))
    assert np.array_equal(symbols, coded.map(coded.encode(tokens ^ added, plain)))
    received = awgn(symbols, 9.0, rng)
    llrs = coded.demap(received, np.full(len(received), noise_variance(9.0), np.float32))
    return coded, added, sealed, plain, tokens, llrs


def test_viterbi_decodes_the_encrypted_as_it_decodes_the_plain(noisy):
    coded, added, sealed, clear, tokens, llrs = noisy
    (opened, ok), (plain, plain_ok) = coded.decode(llrs, sealed), coded.decode(llrs, clear)
    sent = MCS != MCS_NOT_SENT
    assert np.array_equal(opened[sent] ^ added[sent], plain[sent]) and np.array_equal(ok, plain_ok)
    assert 0 < ok[sent].sum() < sent.sum() and np.array_equal(opened[ok], tokens[ok])


def test_lists_and_context_lose_nothing_in_any_mcs(noisy):
    """The same posteriors from the same noise; 16-QAM's pairs of bits, which only sent labels explain, among them."""
    coded, added, sealed, clear, tokens, llrs = noisy
    rng, rows = np.random.default_rng(12), np.random.default_rng(13).permutation(len(MCS))
    weights = rng.exponential(size=(len(MCS), 4, 1024)) ** 3
    np.put_along_axis(weights, tokens[..., None], 50, axis=-1)
    priors = np.log(weights / weights.sum(-1, keepdims=True)).astype(np.float32)
    moved = np.take_along_axis(priors, added[..., None] ^ np.arange(1024), axis=-1)
    opened = coded.list_decode(llrs, rows, priors[rows], sealed)
    plain = coded.list_decode(llrs, rows, moved[rows], clear)
    assert np.array_equal(opened.tokens ^ added[rows], plain.tokens)
    assert np.allclose(opened.posterior, plain.posterior, atol=1e-4)
    assert (opened.tokens == tokens[rows]).all(axis=1).sum() > (coded.decode(llrs, sealed)[1]).sum()


def test_the_fit_of_encrypted_code_words_is_that_of_the_plain(noisy):
    coded, added, sealed, clear, tokens, llrs = noisy
    rows = np.arange(len(MCS))[::-1]
    assert np.allclose(
        coded.beyond_nearest(llrs, rows, tokens[rows], sealed),
        coded.beyond_nearest(llrs, rows, (tokens ^ added)[rows], clear),
    )
    assert np.allclose(coded.closest_beyond_nearest(llrs, sealed), coded.closest_beyond_nearest(llrs, clear))


def test_bits_on_the_air_are_even_and_no_other_key_passes_a_check():
    mcs = np.tile([3, 6, 8, 10], 64)
    coded, zeros = MixedPackets(1024, 4, mcs, tag_bits=32), np.zeros((256, 4), int)
    sealed = replace(IDENTITY, cipher=cipher_of())
    bits = coded.encode(zeros, sealed)
    assert abs(bits.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(bits))
    llrs = bits * np.float32(16) - 8
    assert coded.decode(llrs, sealed)[1].all()
    wrong = (cipher_of(OTHER_KEY), cipher_of(direction=1), cipher_of(epoch=4), cipher_of(header=b"Header"))
    assert not any(coded.decode(llrs, replace(IDENTITY, cipher=each))[1].any() for each in wrong)


def test_packets_with_tags_are_not_taken_for_packets_with_crcs():
    for tag_bits, identity in ((0, REAL), (32, IDENTITY), (24, REAL)):
        coded = MixedPackets(1024, 4, MCS, tag_bits=tag_bits)
        with pytest.raises(FrameError, match="bits"):
            coded.encode(np.zeros((len(MCS), 4), int), identity)


def a_frame(frame_id=3):
    return TokenFrame(np.random.default_rng(frame_id).integers(0, 1024, 256), "random", 1024, frame_id=frame_id)


def on_air(*bursts, esn0_db=30.0):
    stream = np.concatenate([np.zeros(400), *(np.r_[burst, np.zeros(400)] for burst in bursts)])
    return awgn(stream, esn0_db, np.random.default_rng(0))


@pytest.fixture
def transmitter(tmp_path):
    return Transmitter(sealer=Sealer(KEY, tmp_path / "epochs"))


def test_who_has_the_key_reads_tokens_and_bits_and_who_has_not_is_told(transmitter):
    bits = BitFrame(np.random.default_rng(1).integers(0, 2, 900), "bytes", frame_id=4)
    samples = on_air(transmitter.transmit(a_frame()), transmitter.transmit(bits))
    books = [BOOK, Codebook("bytes", 2, "bits")]
    first, second = Receiver(books, keys=Keyring([OTHER_KEY, KEY])).receive(samples)
    assert first.frame == a_frame() and second.frame == bits
    assert [(each.header.seal.key_id, each.header.seal.epoch) for each in (first, second)] == [(KEY.id, 0)] * 2
    for keys in (None, Keyring([OTHER_KEY])):
        receiver = Receiver(books, FrameRecovery("list"), keys=keys)
        assert receiver.receive(samples) == [] and receiver.locked == {KEY.id: 2} and receiver.unusable == 0
        assert (
            receiver.last_error
            == f"frame 4 of stream 0 is encrypted with key 0x{KEY.id:04x}, which is not among the keys of this receiver"
        )


def test_a_recording_that_is_sent_again_is_rejected_after_a_restart_too(transmitter, tmp_path):
    samples, taken = on_air(transmitter.transmit(a_frame())), []
    for _ in range(2):
        receiver = Receiver([BOOK], keys=Keyring([KEY], replays={KEY.id: Replays(tmp_path / "seen")}))
        taken += [len(receiver.receive(samples)) for _ in range(2)]
        assert "frame 3 of stream 0, epoch 0 of its key, came before" in receiver.last_error
    assert taken == [1, 0, 0, 0] and receiver.rejected == {"replayed": 2}
    receiver = Receiver([BOOK], keys=Keyring([KEY], replays=None))
    assert len(receiver.receive(np.r_[samples, samples])) == 2


def test_what_has_no_key_is_not_believed_by_who_has_one():
    samples = on_air(Transmitter().transmit(a_frame()))
    receiver = Receiver([BOOK], keys=Keyring([KEY]))
    assert receiver.receive(samples) == [] and receiver.rejected == {"clear": 1}
    assert "frame 3 of stream 0 has no key" in receiver.last_error
    assert len(Receiver([BOOK], keys=Keyring([KEY], clear=True)).receive(samples)) == 1


def test_a_burst_whose_header_was_changed_is_rejected(transmitter):
    """Another class on the same packets: whoever hears a burst can send its samples with another header."""
    header, identity = transmitter.sealed(transmitter.header(a_frame(), 0, np.full(64, 3), 4))
    coded = transmitter.coded(a_frame(), np.full(64, 3), 4)
    symbols = coded.map(coded.encode(transmitter.packetize(a_frame()), identity))
    receiver = Receiver([BOOK], keys=Keyring([KEY]))
    assert receiver.receive(on_air(transmitter.modulate(symbols, replace(header, cmi=7)))) == []
    assert receiver.rejected == {"forged": 1} and "is not from a holder of it" in receiver.last_error
    assert len(receiver.receive(on_air(transmitter.modulate(symbols, header)))) == 1


def test_packets_of_a_forger_are_not_believed_in_any_mode(transmitter):
    """A stronger signal in place of some packets: coded as they should be, but for tags that nobody knows."""
    frame, coded = a_frame(), transmitter.coded(a_frame(), np.full(64, 3), 4)
    header, identity = transmitter.sealed(transmitter.header(frame, 0, np.full(64, 3), 4))
    own, changed = transmitter.packetize(frame), np.arange(0, 64, 2)
    rows = own.copy()
    rows[changed] = (rows[changed] + 1) % 1024
    forged = replace(identity, cipher=cipher_of(OTHER_KEY, header=b"any"))
    forged.cipher.bits = identity.cipher.bits
    bits = coded.encode(own, identity)
    others = coded.encode(rows, forged)
    bits.reshape(64, -1)[changed] = others.reshape(64, -1)[changed]
    samples = on_air(transmitter.modulate(coded.map(bits), header), esn0_db=12.0)
    for recovery in (FrameRecovery("list"), FrameRecovery("keep")):
        (got,) = Receiver([BOOK], recovery, keys=Keyring([KEY])).receive(samples)
        assert np.array_equal(np.flatnonzero(~got.packets_ok), changed)
        whole = got.recovered.frame.tokens[header.positions()]
        assert not (whole[changed] == rows[changed]).all(axis=1).any()
        assert not got.recovered.packets_ok[changed].any()


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
        ReceivedPackets.of_burst(header, 1024, np.zeros(64 * 156, np.float32))
    assert caught.value.key_id == 0x1234


def test_a_frame_sent_again_adds_to_what_came_before_though_its_tags_are_others(transmitter):
    """Log-likelihoods of the tokens add, those of tags stay with the transmission that brought them."""
    receiver = Receiver([BOOK], keys=Keyring([KEY]), assembler=FrameAssembler())
    mcs = np.full(64, 3, np.uint8)
    some = np.where(np.arange(64) % 4, mcs, MCS_NOT_SENT).astype(np.uint8)
    bursts = [transmitter.transmit(a_frame(), 0, each) for each in (mcs, some, mcs)]
    got = receiver.receive(on_air(*bursts, esn0_db=-0.8))
    assert len(got) == 3 and receiver.rejected == {} and receiver.last_error == ""
    alone, twice, thrice = (each.packets_ok.mean() for each in got)
    assert alone < twice < thrice and alone < 0.8 and thrice > 0.9
    for each in got:
        assert np.array_equal(each.frame.tokens[~each.frame.lost], a_frame().tokens[~each.frame.lost])
    received = receiver.assembler.pop(((KEY.id, 0), 0, 3)).received
    decision = received.list_decode(np.arange(64), Prediction.dense(np.full((64, 4, 1024), -np.log(1024), np.float32)))
    assert np.array_equal(decision.tokens, a_frame().tokens[received.positions])


def test_a_frame_sent_again_has_another_stream(transmitter):
    bursts = [transmitter.transmit(a_frame(number)) for number in (3, 4, 3, 3, 5, 1 << 20)]
    receptions = Receiver([BOOK], keys=Keyring([KEY])).receive(on_air(*bursts))
    assert [each.frame.frame_id for each in receptions] == [3, 4, 3, 3, 5, 0]
    assert [each.header.seal.epoch for each in receptions] == [0, 0, 1, 2, 2, 3]
    assert all(each.packets_ok.all() for each in receptions)


def test_nothing_is_sent_where_epochs_cannot_be_counted(tmp_path):
    transmitter = Transmitter(sealer=Sealer(KEY, tmp_path / "epochs"))
    transmitter.transmit(a_frame())
    (tmp_path / "epochs").write_text("32768\n", encoding="ascii")
    with pytest.raises(KeyFileError, match="all 32768 epochs"):
        transmitter.transmit(a_frame())


def test_labels_that_encryption_would_undo_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="labels is 'semantic' with a key"):
        Transmitter(TransmitConfig(labels="semantic"), sealer=Sealer(KEY, tmp_path / "epochs"))


def test_the_share_of_a_tag_is_that_among_all_tags():
    """Against every tag of 8 bits, one by one."""
    rng = np.random.default_rng(4)
    coded = MixedPackets(64, 2, np.full(5, 3), tag_bits=8)
    cipher = FrameCipher(Direction(Key(bytes(32)), 0, 8), 0, 0, 0, b"")
    identity = PacketIdentity(0, 0, 0, cipher)
    tokens, rows = rng.integers(0, 64, (5, 2)), np.arange(5)
    steps = (2 * rng.standard_normal((5, 12 + 8 + 6, 4))).astype(np.float32)
    got = coded.log_tag_share(steps, rows, tokens, identity)
    codec, (tag, presets) = PacketCodec("k7", 64, 2, tag_bits=8), cipher.tags(12, 5)
    values = np.arange(256)
    for row in rows:
        bits = tokens_to_bits(tokens[row], 6)
        pairs = np.concatenate([np.tile(bits, (256, 1)), tokens_to_bits(values[:, None], 8)], axis=1)
        words = codec.code.encode(pairs).reshape(256, -1, 2) @ [2, 1]
        metrics = steps[row][np.arange(26), words].sum(axis=1, dtype=float)
        own = tag.append(bits[None], presets[row : row + 1])[0, 12:] @ (1 << np.arange(8)[::-1])
        assert got[row] == pytest.approx(metrics[own] - np.logaddexp.reduce(metrics), abs=1e-4)
