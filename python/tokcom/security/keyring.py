"""The keys that a receiver holds."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokcom.errors import KeyFileError
from tokcom.packets.seal import Seal
from tokcom.security.key_stream import KeyStream
from tokcom.security.keys import Key, load_key


class Keyring:
    """Finds the key stream that the header of a burst names.

    Args:
        keys: any number.

    Raises:
        KeyFileError: two keys that differ have one id.
    """

    def __init__(self, keys: Iterable[Key] = ()):
        self._keys: dict[int, Key] = {}
        for key in keys:
            if self._keys.setdefault(key.id, key) != key:
                raise KeyFileError(f"two keys have the id 0x{key.id:04x}; make one of them anew")

    @classmethod
    def of_files(cls, paths: str | Sequence[str | Path]) -> "Keyring":
        """The keys in files, in a list or between commas.

        Raises:
            KeyFileError: a file cannot be read or holds no key, or two keys have one id.
        """
        if isinstance(paths, str):
            paths = [path.strip() for path in paths.split(",") if path.strip()]
        return cls(map(load_key, paths))

    def find(self, seal: Seal) -> KeyStream | None:
        """The stream of a seal; None where its key is not here."""
        key = self._keys.get(seal.key_id)
        return None if key is None else KeyStream(key, seal.direction, seal.epoch)
