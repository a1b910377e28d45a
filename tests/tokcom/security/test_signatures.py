import pytest

from tokcom.errors import KeyFileError
from tokcom.security.agreement import PrivateKey
from tokcom.security.signatures import read_signer, sign, signer_of, signer_text, verified

OWN, OTHER = PrivateKey(bytes(range(32))), PrivateKey(b"o" * 32)


def test_a_signature_tells_its_signer():
    for own in (OWN, OTHER):
        assert verified(sign(own, "card", b"content"), "card", b"content") == signer_of(own)
    assert signer_of(OWN) not in (signer_of(OTHER), OWN.public)


@pytest.mark.parametrize(("purpose", "content"), [("card", b"Content"), ("car", b"dcontent"), ("letter", b"content")])
def test_a_signature_is_of_one_content_for_one_purpose(purpose, content):
    with pytest.raises(KeyFileError, match="not of this content"):
        verified(sign(OWN, "card", b"content"), purpose, content)


def test_a_signature_of_somebody_else_is_none():
    words, _, signature = sign(OTHER, "card", b"content").split()
    with pytest.raises(KeyFileError, match="not of this content"):
        verified(f"{words} {signer_of(OWN).hex()} {signature}", "card", b"content")


@pytest.mark.parametrize("line", ["", "a b", "a b c d", "tokcom-signature-1 00 00", "tokcom-signature-1 xx yy"])
def test_what_is_no_signature_is_refused(line):
    with pytest.raises(KeyFileError, match="is not a signature"):
        verified(line, "card", b"content")


def test_signers_are_read_as_they_are_written():
    assert read_signer(f" {signer_text(signer_of(OWN))}\n") == signer_of(OWN)
    for text in ("", "tokcom-signer-1:00", "tokcom-public-1:" + "00" * 32, "tokcom-signer-1:" + "xx" * 32):
        with pytest.raises(KeyFileError, match="is not a signer"):
            read_signer(text)
