from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import KeyFileError, ParameterError, RejectedError
from tokcom.packets.header import BurstHeader
from tokcom.packets.seal import Seal
from tokcom.security.frame_cipher import Direction, FrameCipher
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key, new_key, save_key
from tokcom.security.sealer import Sealer

KEY = Key(bytes(range(32)))


def a_header(stream_id=0, frame_id=0):
    return BurstHeader(stream_id, frame_id, 0x12345678, (16, 16), 4, 10, np.full(64, 6))


def opened(keyring, header):
    return keyring.unlock(header.seal, header.stream_id, header.frame_id, header.sealed_bytes)


def test_no_stream_and_frame_come_twice(tmp_path):
    sealer, seen = Sealer(KEY, tmp_path / "epochs"), []
    for _ in range(2):
        for stream, frame in ((0, 0), (1, 0), (0, 1), (0, 1), (1, 0), (1, 0), (0, 0), (0, 5), (0, 4)):
            seen.append((sealer.sealed(a_header(stream, frame))[0].seal.epoch, stream, frame))
        sealer = Sealer(KEY, tmp_path / "epochs")
    assert len(set(seen)) == len(seen) and [epoch for epoch, *_ in seen[:4]] == [0, 0, 0, 1]


def test_a_keyring_finds_what_a_sender_used(tmp_path):
    save_key(new_key(), tmp_path / "key")
    header, identity = Sealer.of_file(tmp_path / "key", 1).sealed(a_header())
    for keyring in (Keyring.of_files([tmp_path / "key"]), Keyring.of_files(f"{tmp_path / 'key'}, ")):
        cipher, lengths = opened(keyring, header), np.full(64, 156)
        assert np.array_equal(cipher.bits(lengths), identity.cipher.bits(lengths))
        assert np.array_equal(cipher.tags(40, 64)[1], identity.cipher.tags(40, 64)[1])
        assert opened(keyring, header) is cipher
    assert opened(Keyring(), header) is None and opened(Keyring([KEY]), header) is None
    assert (tmp_path / "key.epochs1").exists() and not (tmp_path / "key.epochs0").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"stream_id": 1}, {"frame_id": 1}, {"codebook_id": 7}, {"grid": (8, 32)}, {"cmi": 3}, {"layout_seed": 1},
        {"mcs": np.full(64, 5)}, {"mcs": np.arange(64) % 15}, {"elements": b"\xd8"}, {"layout": "contiguous"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_header_that_was_changed_is_rejected(change, tmp_path):
    header, _ = Sealer(KEY, tmp_path / "epochs").sealed(a_header())
    keyring = Keyring([KEY])
    assert opened(keyring, header) is not None
    with pytest.raises(RejectedError, match=r"names key 0x2d14, and is not from a holder of it") as caught:
        opened(keyring, replace(header, **change))
    assert caught.value.kind == "forged"


@pytest.mark.parametrize("change", [{"epoch": 1}, {"direction": 1}, {"tag_bits": 40}, {"header_tag": 5}])
def test_a_seal_that_was_changed_is_rejected(change, tmp_path):
    header, _ = Sealer(KEY, tmp_path / "epochs").sealed(a_header())
    with pytest.raises(RejectedError, match="not from a holder"):
        opened(Keyring([KEY]), replace(header, seal=replace(header.seal, **change)))


def test_shorter_tags_than_asked_for_are_rejected(tmp_path):
    header, _ = Sealer(KEY, tmp_path / "epochs", tag_bits=24).sealed(a_header())
    with pytest.raises(RejectedError, match="tags of 24 bits; this receiver asks for 32"):
        opened(Keyring([KEY]), header)
    assert opened(Keyring([KEY], tag_bits=24), header) is not None


def test_words_among_the_files_say_what_is_taken(tmp_path):
    save_key(KEY, tmp_path / "key")
    file = str(tmp_path / "key")
    assert Keyring().clear and Keyring.of_files("").clear and Keyring.of_files("clear").clear
    assert not Keyring([KEY]).clear and not Keyring.of_files(file).clear
    assert Keyring.of_files(f"clear, {file}").clear
    seal = Seal(KEY.id, 0, 0)
    for keyring in (Keyring.of_files(f"{file}, replays", remember=True), Keyring([KEY], replays=None)):
        keyring.admit(seal, 0, 5)
        keyring.admit(seal, 0, 5)
    assert not (tmp_path / "key.seen").exists()
    for remember in (False, True):
        keyring = Keyring.of_files(file, remember)
        keyring.admit(seal, 0, 5)
        with pytest.raises(RejectedError, match="came before"):
            keyring.admit(seal, 0, 5)
    assert (tmp_path / "key.seen").exists()
    with pytest.raises(RejectedError, match="came before"):
        Keyring.of_files(file, remember=True).admit(seal, 0, 5)


def a_tag(key):
    return FrameCipher(Direction(key, 0), 0, 0, 0, b"header").header_tag


def test_keys_of_one_id_are_refused():
    by_id = {}
    for key in (Key(number.to_bytes(32, "big")) for number in range(2000)):
        if by_id.setdefault(key.id, key) != key:
            break
    with pytest.raises(KeyFileError, match=f"two keys have the id 0x{key.id:04x}"):
        Keyring([by_id[key.id], key])
    assert Keyring([key, key]).unlock(Seal(key.id, 0, 0, header_tag=a_tag(key)), 0, 0, b"header") is not None


def test_a_direction_that_there_is_not_takes_no_epoch(tmp_path):
    with pytest.raises(ParameterError, match="direction is 2"):
        Sealer(KEY, tmp_path / "epochs", 2)
    assert not (tmp_path / "epochs").exists()
