import pytest

from tokcom.packets.codebook import Codebook, codebook_id


@pytest.mark.parametrize(("name", "identity"), [("", 0xE3B0), ("abc", 0xBA78), ("Wörter", 0x34DD)])
def test_ids_are_the_first_bits_of_known_digests(name, identity):
    """SHA-256 of the empty message and of "abc" as published with FIPS 180-4; of "Wörter" in UTF-8 by sha256sum."""
    assert codebook_id(name) == identity == Codebook(name, 1024).id
