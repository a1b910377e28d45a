"""Program that reads the tensors of one public checkpoint and writes them as safetensors; `checkpoint` runs it.

A process of its own with limits on memory, time and disk, because the file may be anything. A pickle is read with
weights_only=True; objects of a trainer that lie beside the weights become inert placeholders. Of Flax's format,
MessagePack, arrays are read. Nothing of the file is executed.
"""

import json
import pickle
import resource
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

TRAINERS = ("pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.", "numpy.", "argparse.", "typing.")
"""Beginnings of the names of classes that checkpoints hold beside tensors and that are not built."""
INSIDE = ("state_dict", "model_state_dict", "model", "params", "target")
"""Names under which checkpoints keep the table of the weights."""
ARRAY, SCALAR, CHUNKED = 1, 3, "__msgpack_chunked_array__"
"""Flax's codes for an array and a NumPy scalar, and its mark of an array that is kept in pieces."""


class Placeholder:
    """Stands for an object that is not wanted."""

    def __new__(cls, *_: object, **__: object) -> "Placeholder":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name; names of nested tables are joined by "/".

    Raises:
        ValueError: the file is no such checkpoint; the message says why.
    """
    with path.open("rb") as file:
        start = file.read(16)
    if start[:1] in (b"P", b"\x80"):
        return _flat(_unpickled(path))
    return _flat(_flax(path))


def _unpickled(path: Path) -> object:
    zipped = zipfile.is_zipfile(path)
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipped else []
    refused = [name for name in names if not name.startswith(TRAINERS)]
    if refused:
        raise ValueError(f"it holds {', '.join(sorted(refused))}, which are not weights")
    with torch.serialization.safe_globals([(Placeholder, name) for name in names]):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _flax(path: Path) -> object:
    try:
        import msgpack
    except ModuleNotFoundError:
        raise ValueError("to read it, install msgpack: pip install --no-deps -r requirements/large.txt") from None

    def extension(code: int, content: bytes) -> object:
        if code not in (ARRAY, SCALAR):
            raise ValueError(f"it holds a MessagePack extension {code}, which is no array")
        shape, name, raw = msgpack.unpackb(content, raw=False, max_bin_len=len(content))
        name = name if isinstance(name, str) else name.decode()
        if name == "bfloat16":
            return torch.from_numpy(np.frombuffer(raw, np.int16).copy()).view(torch.bfloat16).reshape(shape)
        return torch.from_numpy(np.frombuffer(raw, np.dtype(name)).copy()).reshape(shape)

    size = path.stat().st_size
    try:
        content = msgpack.unpackb(
            path.read_bytes(), ext_hook=extension, raw=False, strict_map_key=False, max_ext_len=size, max_bin_len=size
        )
    except (msgpack.ExtraData, msgpack.FormatError, msgpack.StackError, UnicodeDecodeError) as error:
        raise ValueError(f"it is neither a pickle of PyTorch nor a whole table of Flax ({error})") from None
    return _joined(content)


def _joined(content: object) -> object:
    """Put arrays together that are kept in pieces."""
    if not isinstance(content, Mapping):
        return content
    if content.get(CHUNKED):
        pieces, shape = content["chunks"], content["shape"]
        whole = torch.cat([pieces[str(number)] for number in range(len(pieces))])
        return whole.reshape([int(shape[str(number)]) for number in range(len(shape))])
    return {name: _joined(each) for name, each in content.items()}


def _flat(content: object) -> dict[str, Tensor]:
    """The tensors of the table of weights, wherever it lies in a checkpoint."""
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, not a table of tensors")
    for name in INSIDE:
        if isinstance(content.get(name), Mapping):
            return _flat(content[name])
    found: dict[str, Tensor] = {}
    for name, each in content.items():
        if isinstance(each, Tensor):
            found[str(name)] = each
        elif isinstance(each, Mapping):
            found |= {f"{name}/{inner}": tensor for inner, tensor in _flat(each).items()}
    return found


def main() -> None:
    """Read the file of the first argument and write that of the second.

    Further arguments are the bytes of memory that it may take, and the names to keep: a JSON list of beginnings; all,
    if it is empty. Errors are one line on standard error.
    """
    source, target, limit, kept = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
    # Beside what PyTorch has mapped by now.
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    mapped = pages * resource.getpagesize() + limit
    resource.setrlimit(resource.RLIMIT_AS, (mapped, mapped))
    resource.setrlimit(resource.RLIMIT_CPU, (1800, 1800))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = read_tensors(source)
        wanted = {name: each for name, each in found.items() if not kept or name.startswith(tuple(kept))}
        if not wanted:
            raise ValueError(f"it has no tensors named {', '.join(kept) or 'anything'}")
        # Tensors that share memory would be refused.
        save_file({name: each.detach().clone().contiguous() for name, each in wanted.items()}, target)
    except MemoryError:
        sys.exit(f"it needs more than {limit / 1e9:.0f} GB")
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        sys.exit((str(error).splitlines() or [repr(error)])[0])
    except Exception as error:  # decoders of damaged files raise exceptions of any type
        sys.exit(f"{type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    main()
