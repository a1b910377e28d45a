import errno
import hmac
import os

import pytest

from tokcom.errors import KeyFileError
from tokcom.packets.seal import EPOCHS
from tokcom.security.epochs import next_epoch
from tokcom.security.keys import Key, load_key, new_key, save_key


def test_keys_come_back_from_files_that_only_their_owner_reads(tmp_path):
    key = new_key()
    save_key(key, tmp_path / "key")
    assert load_key(tmp_path / "key") == key and (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match="not overwritten"):
        save_key(new_key(), tmp_path / "key")
    assert load_key(tmp_path / "key") == key


def test_no_two_keys_are_alike_and_none_is_printed():
    one, other = new_key(), new_key()
    assert one.secret != other.secret
    assert one.secret.hex() not in repr(one) and repr(one.secret)[2:-1] not in repr(one)


def test_purposes_follow_rfc_5869():
    secret = bytes(range(32))
    extracted = hmac.digest(bytes(32), secret, "sha256")
    expanded = hmac.digest(extracted, b"tokcom bits 0\x01", "sha256")
    assert Key(secret).derive("bits 0") == expanded
    assert Key(secret).id == int.from_bytes(hmac.digest(extracted, b"tokcom id\x01", "sha256")[:2], "big")


def test_a_file_that_others_may_read_is_refused(tmp_path):
    save_key(new_key(), tmp_path / "key")
    os.chmod(tmp_path / "key", 0o640)
    with pytest.raises(KeyFileError, match=r"mode 640.*chmod 600"):
        load_key(tmp_path / "key")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"tokcom-key-1",
        b"tokcom-key-1 " + b"0" * 63,
        b"tokcom-key-2 " + b"0" * 64,
        b"tokcom-key-1 " + b"x" * 64,
        b"\xff",
    ],
)
def test_what_is_no_key_is_told(content, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="holds no key"):
        load_key(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(KeyFileError, match=r"absent cannot be read: No such file"):
        load_key(tmp_path / "absent")


def test_epochs_count_up_over_restarts(tmp_path):
    assert [next_epoch(tmp_path / "epochs") for _ in range(3)] == [0, 1, 2]
    (tmp_path / "epochs").write_text(f"{EPOCHS - 1}\n", encoding="ascii")
    assert next_epoch(tmp_path / "epochs") == EPOCHS - 1
    with pytest.raises(KeyFileError, match="all 32768 epochs"):
        next_epoch(tmp_path / "epochs")


@pytest.mark.parametrize("content", [b"-1", b"nine", b"\xff\xfe", "\u0663".encode()])
def test_a_broken_count_is_not_taken_for_a_new_one(content, tmp_path):
    (tmp_path / "epochs").write_bytes(content)
    with pytest.raises(KeyFileError, match="not a count of epochs"):
        next_epoch(tmp_path / "epochs")
    assert (tmp_path / "epochs").read_bytes() == content


def full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_and_leaves_neither_epoch_nor_half_a_key(tmp_path, monkeypatch):
    next_epoch(tmp_path / "epochs")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="cannot be read or written: No space left"):
        next_epoch(tmp_path / "epochs")
    monkeypatch.undo()
    made = os.fdopen

    def opened(*arguments, **more):
        file = made(*arguments, **more)
        file.close()
        full()

    monkeypatch.setattr(os, "fdopen", opened)
    with pytest.raises(KeyFileError, match="key cannot be written: No space left"):
        save_key(new_key(), tmp_path / "key")
    assert not (tmp_path / "key").exists()
