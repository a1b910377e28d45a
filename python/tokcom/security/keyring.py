"""The keys that a receiver holds."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokcom.errors import KeyFileError, RejectedError
from tokcom.packets.seal import TAG_BITS, Seal
from tokcom.security.frame_cipher import Direction, FrameCipher
from tokcom.security.keys import Key, load_key
from tokcom.security.replays import Replays

CLEAR, REPLAYS = "clear", "replays"
"""Words among the names of key files: bursts without a key are taken, too; frames that came before are taken again."""
KEPT = 16
"""Ciphers of the latest frames that are kept: the stages of a receiver ask for them one after the other."""


class Keyring:
    """Opens bursts with the keys that their headers name.

    Args:
        keys: any number.
        clear: whether bursts that no key protects are taken, too; None: where there are no keys.
        replays: where frames that came are taken note of, by the key's id; of other keys, in memory. None: nowhere, and
            frames may come again.
        tag_bits: shortest tags of packets that are believed.

    Raises:
        KeyFileError: two keys that differ have one id.
    """

    def __init__(
        self, keys: Iterable[Key] = (), clear: bool | None = None, replays: Mapping[int, Replays] | None = {},
        tag_bits: int = TAG_BITS,
    ):  # fmt: skip
        self._keys: dict[int, Key] = {}
        for key in keys:
            if self._keys.setdefault(key.id, key) != key:
                raise KeyFileError(f"two keys have the id 0x{key.id:04x}; make a new one in place of either")
        self.clear = not self._keys if clear is None else clear
        self._replays = None if replays is None else {number: Replays() for number in self._keys} | dict(replays)
        self._tag_bits = tag_bits
        self._directions: dict[tuple[int, int, int], Direction] = {}
        self._latest: OrderedDict[tuple[Seal, bytes], FrameCipher] = OrderedDict()

    @classmethod
    def of_files(cls, paths: str | Sequence[str | Path], remember: bool = False) -> "Keyring":
        """The keys in files, in a list or between commas; CLEAR and REPLAYS among them stand for no file.

        Args:
            paths: the files.
            remember: frames that came are kept beside each key, in a file whose name ends in `.seen`.

        Raises:
            KeyFileError: a file cannot be read or holds no key, two keys have one id, or what came cannot be kept.
        """
        if isinstance(paths, str):
            paths = [path.strip() for path in paths.split(",") if path.strip()]
        files = [path for path in paths if path not in (CLEAR, REPLAYS)]
        keys = {path: load_key(path) for path in files}
        replays = None
        if REPLAYS not in paths:
            replays = {key.id: Replays(f"{path}.seen") for path, key in keys.items()} if remember else {}
        return cls(keys.values(), CLEAR in paths or not files, replays)

    def unlock(self, seal: Seal, stream_id: int, frame_id: int, header: bytes) -> FrameCipher | None:
        """The cipher of a frame; None where its key is not here.

        Args:
            seal: in its header.
            stream_id: of the frame.
            frame_id: of the frame.
            header: `BurstHeader.sealed_bytes`.

        Raises:
            RejectedError: the header's tag is not that of the key, or the packets' tags are too short.
        """
        key = self._keys.get(seal.key_id)
        if key is None:
            return None
        if (seal, header) in self._latest:
            return self._latest[seal, header]
        said = f"frame {frame_id} of stream {stream_id}"
        if seal.tag_bits < self._tag_bits:
            raise RejectedError(
                "forged", f"{said} has tags of {seal.tag_bits} bits; this receiver asks for {self._tag_bits}"
            )
        kind = seal.key_id, seal.direction, seal.tag_bits
        if kind not in self._directions:
            self._directions[kind] = Direction(key, seal.direction, seal.tag_bits)
        cipher = FrameCipher(self._directions[kind], seal.epoch, stream_id, frame_id, header)
        if cipher.header_tag != seal.header_tag:
            raise RejectedError("forged", f"{said} names key 0x{seal.key_id:04x}, and is not from a holder of it")
        self._latest[seal, header] = cipher
        if len(self._latest) > KEPT:
            self._latest.popitem(last=False)
        return cipher

    def admit(self, seal: Seal, stream_id: int, frame_id: int) -> None:
        """Take note of a frame whose header was opened.

        Raises:
            RejectedError: it came before, or is older than what is remembered.
            KeyFileError: it cannot be taken note of.
        """
        if self._replays is not None:
            self._replays[seal.key_id].admit(seal.direction, stream_id, seal.epoch, frame_id)
