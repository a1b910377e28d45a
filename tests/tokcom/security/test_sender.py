import pytest

from tokcom.errors import KeyFileError, ParameterError
from tokcom.packets.seal import Seal
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key, new_key, save_key
from tokcom.security.sender import Sender

KEY = Key(bytes(range(32)))


def test_no_stream_and_frame_come_twice(tmp_path):
    sender, seen = Sender(KEY, tmp_path / "epochs"), []
    for _ in range(2):
        for stream, frame in ((0, 0), (1, 0), (0, 1), (0, 1), (1, 0), (1, 0), (0, 0), (0, 5), (0, 4)):
            seen.append((sender.key_stream(stream, frame).epoch, stream, frame))
        sender = Sender(KEY, tmp_path / "epochs")
    assert len(set(seen)) == len(seen) and [epoch for epoch, *_ in seen[:4]] == [0, 0, 0, 1]


def test_a_senders_streams_are_those_that_a_keyring_finds(tmp_path):
    save_key(new_key(), tmp_path / "key")
    sender = Sender.of_file(tmp_path / "key", 1)
    stream = sender.key_stream(0, 0)
    assert Keyring.of_files([tmp_path / "key"]).find(stream.seal) == stream
    assert Keyring.of_files(f"{tmp_path / 'key'}, ").find(stream.seal) == stream
    assert Keyring().find(stream.seal) is None and Keyring([KEY]).find(stream.seal) is None
    assert (tmp_path / "key.epochs1").exists() and not (tmp_path / "key.epochs0").exists()


def test_keys_of_one_id_are_refused():
    by_id = {}
    for key in (Key(number.to_bytes(32, "big")) for number in range(2000)):
        if by_id.setdefault(key.id, key) != key:
            break
    with pytest.raises(KeyFileError, match=f"two keys have the id 0x{key.id:04x}"):
        Keyring([by_id[key.id], key])
    assert Keyring([key, key]).find(Seal(key.id, 0, 0)).key == key


def test_a_direction_that_there_is_not_takes_no_epoch(tmp_path):
    with pytest.raises(ParameterError, match="direction is 2"):
        Sender(KEY, tmp_path / "epochs", 2)
    assert not (tmp_path / "epochs").exists()
