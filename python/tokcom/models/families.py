"""Families of networks that cards name, with the location of their code. Nothing is imported before it is needed."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from tokcom.errors import ModelError

ENTRY_POINTS = "tokcom.families"
"""Group of entry points by which other packages register families: names of families to `Family` objects."""


@dataclass(frozen=True)
class Family:
    """Family of networks: location of its code as "module:name".

    Attributes:
        config: class of the configuration, constructed from the card's `config`.
        network: class of the network, constructed from a configuration; it loads the weights as its state.
        use: function that makes a tokenizer, a prior or a classifier from network, name of the codebook, and further
            arguments of the loader.
    """

    config: str
    network: str
    use: str

    def config_class(self) -> type:
        """Import the class of the configuration."""
        return _imported(self.config)

    def network_class(self) -> type:
        """Import the class of the network."""
        return _imported(self.network)

    def user(self) -> type:
        """Import the function that makes a part from the network."""
        return _imported(self.use)


_TOKENIZERS, _CONTEXT = "tokcom.tokenizers", "tokcom.context"
_VQ, _CLASSIFIER = f"{_TOKENIZERS}.vq:VQTokenizer", f"{_CONTEXT}.classifier:Classifier"
FAMILIES: dict[str, Family] = {
    "vq": Family(f"{_TOKENIZERS}.vq_network:VQConfig", f"{_TOKENIZERS}.vq_network:VQNetwork", _VQ),
    "pyramid": Family(
        f"{_TOKENIZERS}.pyramid_network:PyramidConfig", f"{_TOKENIZERS}.pyramid_network:PyramidVQNetwork", _VQ
    ),
    "maskgit": Family(
        f"{_CONTEXT}.maskgit_network:MaskGitConfig",
        f"{_CONTEXT}.maskgit_network:MaskGitNetwork",
        f"{_CONTEXT}.maskgit:MaskGit",
    ),
    "following": Family(
        f"{_CONTEXT}.following_network:FollowingConfig",
        f"{_CONTEXT}.following_network:FollowingNetwork",
        f"{_CONTEXT}.following:FollowingMaskGit",
    ),
    "classifier": Family(
        f"{_CONTEXT}.classifier_network:ClassifierConfig",
        f"{_CONTEXT}.classifier_network:ClassifierNetwork",
        _CLASSIFIER,
    ),
    "llama": Family(
        f"{_CONTEXT}.llama_network:LlamaConfig",
        f"{_CONTEXT}.llama_network:LlamaNetwork",
        f"{_CONTEXT}.language_model:LanguageModel",
    ),
    "speech": Family(
        f"{_TOKENIZERS}.speech_network:SpeechConfig",
        f"{_TOKENIZERS}.speech_network:SpeechNetwork",
        f"{_TOKENIZERS}.speech:SpeechTokenizer",
    ),
    "speech-prior": Family(
        f"{_CONTEXT}.speech_prior_network:SpeechPriorConfig",
        f"{_CONTEXT}.speech_prior_network:SpeechPriorNetwork",
        f"{_CONTEXT}.speech_prior:SpeechPrior",
    ),
    "lite": Family(
        f"{_CONTEXT}.efficientnet_lite:LiteConfig", f"{_CONTEXT}.efficientnet_lite:LiteClassifierNetwork", _CLASSIFIER
    ),
}
"""Families of this package by the name that cards use."""


def family(name: object) -> Family:
    """Look up a family by its name.

    Raises:
        ModelError: the family is unknown, or its package is broken.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    others = _others()
    if name not in others:
        raise ModelError(
            f"family {name!r} is unknown; it must be one of {', '.join([*FAMILIES, *others])} (other packages register "
            f"theirs as entry points {ENTRY_POINTS!r})"
        )
    try:
        found = others[name].load()
    except Exception as error:
        raise ModelError(f"family {name!r} of {others[name].value} cannot be loaded: {error}") from None
    if not isinstance(found, Family):
        raise ModelError(f"family {name!r}: {others[name].value} is {found!r}, not a tokcom.models.families.Family")
    return found


@cache
def _others() -> dict:
    return {each.name: each for each in entry_points(group=ENTRY_POINTS)}


def _imported(path: str) -> type:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
