"""Keyring: the keys of a receiver."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokcom.errors import KeyFileError
from tokcom.packets.seal import Seal
from tokcom.security.key_stream import KeyStream
from tokcom.security.keys import Key, load_key


class Keyring:
    """Set of keys, which finds the key stream that the header of a burst names.

    Args:
        keys: any number of keys.

    Raises:
        KeyFileError: two different keys have the same id.
    """

    def __init__(self, keys: Iterable[Key] = ()):
        self._keys: dict[int, Key] = {}
        for key in keys:
            if self._keys.setdefault(key.id, key) != key:
                raise KeyFileError(f"two keys have the id 0x{key.id:04x}; replace one of them")

    @classmethod
    def of_files(cls, paths: str | Sequence[str | Path]) -> "Keyring":
        """Load the keys in files, given as a list or separated by commas.

        Raises:
            KeyFileError: a file cannot be read or holds no key, or two different keys have the same id.
        """
        if isinstance(paths, str):
            paths = [path.strip() for path in paths.split(",") if path.strip()]
        return cls(map(load_key, paths))

    def find(self, seal: Seal) -> KeyStream | None:
        """Find the key stream of a seal; None if its key is unknown."""
        key = self._keys.get(seal.key_id)
        return None if key is None else KeyStream(key, seal.direction, seal.epoch)
