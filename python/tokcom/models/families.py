"""Families of networks that cards name, with the location of their code. Nothing is imported before it is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from tokcom.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

ENTRY_POINTS = "tokcom.families"
"""Group of entry points by which other packages register families: names of families to `Family` objects."""
LARGE = ("diffusers", "transformers")
"""Packages of the extra "large", which some families need."""


@dataclass(frozen=True)
class Family:
    """Family of networks: location of its code as "module:name".

    Attributes:
        config: class of the configuration, constructed from the card's `config`.
        network: class of the network, constructed from a configuration; it loads the weights as its state.
        use: function that makes a tokenizer, a prior or a classifier from network, name of the codebook, and further
            arguments of the loader.
        told_by_sentences: whether that takes an `encoder` of sentences, which is another part of the model.
        full_precision: whether half precision is too coarse for what the network computes, on a GPU, too.
    """

    config: str
    network: str
    use: str
    told_by_sentences: bool = False
    full_precision: bool = False

    def config_class(self) -> type:
        """Import the class of the configuration."""
        return _imported(self.config)

    def network_class(self) -> type:
        """Import the class of the network."""
        return _imported(self.network)

    def without_weights(self, config: Mapping[str, object]) -> "nn.Module":
        """Make the network of a card's `config` on PyTorch's meta device, without memory for its weights.

        Raises:
            TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError: it is no configuration of the network.
        """
        import torch

        config_class, network_class = self.config_class(), self.network_class()
        made = config_class(**{name: tuple(each) if isinstance(each, list) else each for name, each in config.items()})
        with torch.device("meta"):
            return network_class(made)

    def user(self) -> type:
        """Import the function that makes a part from the network."""
        return _imported(self.use)


_TOKENIZERS, _CONTEXT = "tokcom.tokenizers", "tokcom.context"
_VQ, _CLASSIFIER = f"{_TOKENIZERS}.vq:VQTokenizer", f"{_CONTEXT}.classifier:Classifier"
_CODEC = f"{_TOKENIZERS}.neural_codec:NeuralCodec"
_TOLD = f"{_CONTEXT}.told_prior:ToldPrior"
_LABELLED = f"{_CONTEXT}.masked_prior:LabelledPrior"
FAMILIES: dict[str, Family] = {
    "vq": Family(f"{_TOKENIZERS}.vq_network:VQConfig", f"{_TOKENIZERS}.vq_network:VQNetwork", _VQ),
    "concealing": Family(
        f"{_TOKENIZERS}.concealing:ConcealingConfig",
        f"{_TOKENIZERS}.concealing:ConcealingNetwork",
        f"{_TOKENIZERS}.concealing:ConcealingNetwork",
    ),
    "pyramid": Family(
        f"{_TOKENIZERS}.pyramid_network:PyramidConfig", f"{_TOKENIZERS}.pyramid_network:PyramidVQNetwork", _VQ
    ),
    "maskgit": Family(
        f"{_CONTEXT}.maskgit_network:MaskGitConfig",
        f"{_CONTEXT}.maskgit_network:MaskGitNetwork",
        f"{_CONTEXT}.maskgit:MaskGit",
    ),
    "sentence-map": Family(
        f"{_CONTEXT}.sentence_map:SentenceMapConfig",
        f"{_CONTEXT}.sentence_map:SentenceMap",
        f"{_CONTEXT}.sentence_map:SentenceMap",
    ),
    "sound-encoder": Family(
        f"{_CONTEXT}.sound_encoder:SoundEncoderConfig",
        f"{_CONTEXT}.sound_encoder:SoundEncoder",
        f"{_CONTEXT}.sound_encoder:Sounds",
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
    "causal-transformer": Family(
        f"{_CONTEXT}.transformer_networks:TransformerConfig",
        f"{_CONTEXT}.transformer_networks:CausalNetwork",
        f"{_CONTEXT}.transformer_priors:CausalTransformer",
    ),
    "masked-transformer": Family(
        f"{_CONTEXT}.transformer_networks:TransformerConfig",
        f"{_CONTEXT}.transformer_networks:MaskedNetwork",
        f"{_CONTEXT}.transformer_priors:MaskedTransformer",
    ),
    "vq-model": Family(
        f"{_TOKENIZERS}.vq_model_network:VQModelConfig",
        f"{_TOKENIZERS}.vq_model_network:VQModelNetwork",
        _VQ,
        full_precision=True,
    ),
    "encoder-maskgit": Family(
        f"{_CONTEXT}.encoder_maskgit_network:EncoderMaskGitConfig",
        f"{_CONTEXT}.encoder_maskgit_network:EncoderMaskGitNetwork",
        _LABELLED,
    ),
    "bert-maskgit": Family(
        f"{_CONTEXT}.bert_maskgit_network:BertMaskGitConfig",
        f"{_CONTEXT}.bert_maskgit_network:BertMaskGitNetwork",
        _LABELLED,
    ),
    "halton-maskgit": Family(
        f"{_CONTEXT}.halton_maskgit_network:HaltonMaskGitConfig",
        f"{_CONTEXT}.halton_maskgit_network:HaltonMaskGitNetwork",
        _LABELLED,
    ),
    "titok": Family(
        f"{_TOKENIZERS}.titok_network:TiTokConfig",
        f"{_TOKENIZERS}.titok_network:TiTokNetwork",
        f"{_TOKENIZERS}.sequence:SequenceTokenizer",
    ),
    "uvit-maskgit": Family(
        f"{_CONTEXT}.uvit_maskgit_network:UVitMaskGitConfig",
        f"{_CONTEXT}.uvit_maskgit_network:UVitMaskGitNetwork",
        _LABELLED,
    ),
    "rar": Family(f"{_CONTEXT}.rar_network:RarConfig", f"{_CONTEXT}.rar_network:RarNetwork", f"{_CONTEXT}.rar:Rar"),
    "amused": Family(
        f"{_CONTEXT}.amused_network:AmusedConfig",
        f"{_CONTEXT}.amused_network:AmusedNetwork",
        _TOLD,
        told_by_sentences=True,
    ),
    "maskgen": Family(
        f"{_CONTEXT}.maskgen_network:MaskGenConfig",
        f"{_CONTEXT}.maskgen_network:MaskGenNetwork",
        _TOLD,
        told_by_sentences=True,
    ),
    "tatitok": Family(
        f"{_TOKENIZERS}.titok_network:TiTokConfig",
        f"{_TOKENIZERS}.titok_network:TiTokNetwork",
        f"{_CONTEXT}.described:DescribedTokenizer",
        told_by_sentences=True,
    ),
    "clap": Family(f"{_CONTEXT}.clap:ClapShape", f"{_CONTEXT}.clap:ClapNetwork", f"{_CONTEXT}.clap:Clap"),
    "clip-text": Family(
        f"{_CONTEXT}.clip_text:ClipTextShape", f"{_CONTEXT}.clip_text:ClipTextNetwork", f"{_CONTEXT}.clip_text:ClipText"
    ),
    "encodec": Family(
        f"{_TOKENIZERS}.codec_networks:EncodecShape", f"{_TOKENIZERS}.codec_networks:EncodecNetwork", _CODEC
    ),
    "dac": Family(f"{_TOKENIZERS}.codec_networks:DacShape", f"{_TOKENIZERS}.codec_networks:DacNetwork", _CODEC),
    "mimi": Family(
        f"{_TOKENIZERS}.codec_networks:MimiShape",
        f"{_TOKENIZERS}.codec_networks:MimiNetwork",
        _CODEC,
        full_precision=True,
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
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name not in LARGE:
            raise
        raise ModelError(
            f"{error.name} is not installed, which this model needs: pip install --no-deps -r requirements/large.txt, "
            "as ./run does when a public model is imported"
        ) from None
