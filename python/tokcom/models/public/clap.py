"""Layout of CLAP as transformers' files keep it."""

import json
from collections.abc import Mapping

from torch import Tensor

from tokcom.models.public.amused import MERGES, VOCABULARY
from tokcom.models.public.layout import Converted

CONFIGURATION = "config.json"
FILES = (CONFIGURATION, VOCABULARY, MERGES)


def from_clap(tensors: Mapping[str, Tensor]) -> Converted:
    """Convert the tensors of a CLAP, with the bytes of its configuration and of its vocabulary's files.

    Args:
        tensors: tensors of the file by name.
    """
    published = json.loads(bytes(tensors[CONFIGURATION].numpy()).decode())
    config = {
        "published": json.dumps(published, sort_keys=True), "vocabulary_bytes": len(tensors[VOCABULARY]),
        "merges_bytes": len(tensors[MERGES]),
    }  # fmt: skip
    state = {f"model.{name}": each for name, each in tensors.items() if name not in FILES}
    return Converted("clap", config, state | {"vocabulary": tensors[VOCABULARY], "merges": tensors[MERGES]})
