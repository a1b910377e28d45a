import hashlib

import pytest

from tokcom.errors import ParameterError
from tokcom.packets.codebook import Codebook, by_id, codebook_id, codebook_name


@pytest.mark.parametrize(("name", "identity"), [("", 0xE3B0C442), ("abc", 0xBA7816BF), ("Wörter", 0x34DD7493)])
def test_ids_are_the_first_bits_of_known_digests(name, identity):
    """SHA-256 of the empty message and of "abc" as published with FIPS 180-4; of "Wörter" in UTF-8 by sha256sum."""
    assert codebook_id(name) == identity == Codebook(name, 1024).id


def test_a_name_with_a_hash_stands_for_its_content():
    one, other = codebook_name("mine", ["vq", "a" * 64]), codebook_name("yours", ["vq", "a" * 64])
    assert one.startswith("mine@") and codebook_id(one) == codebook_id(other) == int(one.split("@")[1], 16)
    assert codebook_id(one) != codebook_id(codebook_name("mine", ["vq", "b" * 64]))


@pytest.mark.parametrize("name", ["a@b", "mine@", "mine@12345678@", "mine@1234567G"])
def test_other_names_stand_for_themselves(name):
    assert codebook_id(name) == int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def test_two_codebooks_of_one_id_are_refused():
    one, other = Codebook("one@12345678", 1024), Codebook("other@12345678", 1024)
    assert by_id([one, one]) == {0x12345678: one}
    with pytest.raises(ParameterError, match=r"one@12345678 .* and other@12345678 .* have the same id .*, 0x12345678"):
        by_id([one, other])
