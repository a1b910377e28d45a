import hmac

import pytest

from tokcom.errors import KeyFileError
from tokcom.security.agreement import (
    PrivateKey,
    direction_of,
    load_private_key,
    public_of,
    public_text,
    save_private_key,
    session_key,
    shared_key,
)
from tokcom.security.keys import load_key, new_key, save_key

P = 2**255 - 19


def ladder(scalar, point):
    """X25519 by the formulas of RFC 7748, section 5."""
    k = int.from_bytes(scalar, "little")
    k = k & ~(1 << 255) & ~7 | 1 << 254
    u = int.from_bytes(point, "little") % (1 << 255)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def hkdf(secret, info):
    return hmac.digest(hmac.digest(bytes(32), secret, "sha256"), info + b"\1", "sha256")


def a_private_key(number):
    return PrivateKey(bytes([number]) * 32)


def test_both_ends_find_the_key_of_the_formulas():
    one, other = a_private_key(1), a_private_key(2)
    assert one.public == ladder(one.secret, (9).to_bytes(32, "little"))
    agreed = ladder(one.secret, other.public)
    key = hkdf(agreed, b"tokcom pinned" + min(one.public, other.public) + max(one.public, other.public))
    assert (
        shared_key(one, other.public) == shared_key(other, one.public) and shared_key(one, other.public).secret == key
    )
    assert shared_key(one, a_private_key(3).public) != shared_key(one, other.public)
    assert {direction_of(one, other.public), direction_of(other, one.public)} == {0, 1}


def test_both_ends_find_the_key_of_a_session_and_it_takes_all_of_theirs():
    one, other, session, other_session = map(a_private_key, range(1, 5))
    key = session_key(one, session, other.public, other_session.public)
    assert key == session_key(other, other_session, one.public, session.public)
    stranger = a_private_key(9)
    others = [
        session_key(stranger, session, other.public, other_session.public),
        session_key(one, stranger, other.public, other_session.public),
        session_key(one, session, stranger.public, other_session.public),
        session_key(one, session, other.public, stranger.public),
        shared_key(one, other.public),
    ]
    assert len({each.secret for each in [key, *others]}) == 6


@pytest.mark.parametrize("public", [bytes(32), b"\1" + bytes(31), (P - 1).to_bytes(32, "little"), b"short"])
def test_weak_public_keys_are_refused(public):
    """Points of small order, by which anybody would know what was agreed on."""
    with pytest.raises(KeyFileError, match="is no public key"):
        shared_key(a_private_key(1), public)


def test_an_end_is_not_its_own_other_end():
    one, other, session = map(a_private_key, range(1, 4))
    with pytest.raises(KeyFileError, match="one's own"):
        shared_key(one, one.public)
    with pytest.raises(KeyFileError, match="sent back"):
        session_key(one, session, other.public, session.public)


def test_private_keys_come_back_from_files_that_only_their_owner_reads_and_are_no_shared_ones(tmp_path):
    key = PrivateKey(new_key().secret)
    save_private_key(key, tmp_path / "own")
    assert load_private_key(tmp_path / "own") == key and (tmp_path / "own").stat().st_mode & 0o777 == 0o600
    assert key.secret.hex() not in repr(key)
    save_key(new_key(), tmp_path / "shared")
    with pytest.raises(KeyFileError, match="'tokcom-private-1' and 64"):
        load_private_key(tmp_path / "shared")
    with pytest.raises(KeyFileError, match="'tokcom-key-1' and 64"):
        load_key(tmp_path / "own")


def test_public_keys_come_back_from_text():
    public = a_private_key(5).public
    assert public_of(public_text(public) + "\n") == public
    for text in (
        "",
        "tokcom-public-1:",
        "tokcom-public-2:" + public.hex(),
        public_text(public) + "0",
        "tokcom-public-1:zz",
    ):
        with pytest.raises(KeyFileError, match="is no public key"):
            public_of(text)
