"""Models of text: their tokenizers, and what is sent where nothing is said."""

from collections.abc import Iterable

from tokcom.context.acceptance import Acceptance
from tokcom.context.causal import CausalPrior
from tokcom.errors import ModelError, ParameterError
from tokcom.link.adaptation import SEMANTIC, AdaptationConfig, LinkAdapter
from tokcom.link.recovery import FrameRecovery
from tokcom.link.text import RECEIVERS, TOKENS_PER_PACKET, TextLink, transmit_config
from tokcom.models.codebooks import codebook, word_frequencies
from tokcom.models.fits import load_residual
from tokcom.models.installed import model_card
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context
from tokcom.tokenizers.text import MODALITY, TextTokenizer

DEFAULT_TEXT_MODEL = "smollm2"
TEXT_FAMILY = "text"


def load_text_tokenizer(model: str = DEFAULT_TEXT_MODEL) -> TextTokenizer:
    """The tokenizer of a model of text.

    Args:
        model: the model, by name or folder.

    Raises:
        ModelError: there is no such model, it is broken, or it is not of text.
    """
    card = model_card(model)
    part = card.part("tokenizer")
    if card.content["modality"] != MODALITY or part["family"] != TEXT_FAMILY:
        raise ModelError(
            f"model {card.name} is of modality {card.content['modality']!r}, not text; there is {DEFAULT_TEXT_MODEL!r}"
        )
    known = codebook(model)
    return TextTokenizer(card.weights("tokenizer").read_bytes(), known.name, known.size)


def load_text_recoveries(
    model: str = DEFAULT_TEXT_MODEL, receivers: Iterable[str] = RECEIVERS, **settings: object
) -> dict[str, FrameRecovery]:
    """Completion of frames of text, for several receivers.

    Args:
        model: the model, by name or folder.
        receivers: of `link.text.RECEIVERS`.
        settings: further arguments of `FrameRecovery`.

    Raises:
        ModelError: there is no such model, or it is broken.
        ParameterError: there is no such receiver.
    """
    made = {}
    for name in receivers:
        if name not in RECEIVERS:
            raise ParameterError(f"receiver is {name!r}; it must be one of {', '.join(RECEIVERS)}")
        if name == "context":
            made[name] = load_recovery(model, name, **settings)
        else:
            known = word_frequencies(model) if name == "frequencies" else None
            mode = "list" if name == "frequencies" else name
            made[name] = FrameRecovery(mode, codebook=codebook(model).name, frequencies=known, **settings)
    return made


def load_text_link(
    model: str = DEFAULT_TEXT_MODEL, receivers: Iterable[str] = RECEIVERS, mcs: str = "16qam-1/2",
    tokens_per_packet: int = TOKENS_PER_PACKET, calibrated: bool = True, adaptation: AdaptationConfig | None = None,
) -> TextLink:  # fmt: skip
    """Load a link for texts of a model.

    Args:
        model: the model, by name or folder.
        receivers: of `link.text.RECEIVERS`.
        mcs: of all packets, without adaptation.
        tokens_per_packet: 1 to 64.
        calibrated: whether posteriors are calibrated, or taken as they are.
        adaptation: how the transmitter adapts to the channel and to the text; None: not at all.

    Raises:
        ModelError: there is no such model, it is broken, or lacks what the policy needs.
        ParameterError: a parameter is out of its range.
    """
    raw = {} if calibrated else {"acceptance": Acceptance(), "certainty": Acceptance()}
    config, adapter = transmit_config(mcs, tokens_per_packet), None
    residual = load_residual(model) if adaptation is not None and adaptation.policy in SEMANTIC else None
    recoveries = load_text_recoveries(model, receivers, **raw)
    if adaptation is not None:
        prior = recoveries["context"].prior if "context" in recoveries else load_context(model)
        adapter = LinkAdapter(adaptation, config, prior, residual)
    return TextLink(load_text_tokenizer(model), codebook(model), recoveries, config, adapter)


def load_exact_language(model: str = DEFAULT_TEXT_MODEL) -> tuple[CausalPrior, TextTokenizer]:
    """Load language model and tokenizer for lossless coding: on the CPU, in full precision.

    Raises:
        ModelError: there is no such model, it is broken, not of text, or does not predict tokens in their order.
    """
    tokenizer, prior = load_text_tokenizer(model), load_context(model, "cpu", exact=True)
    if not isinstance(prior, CausalPrior):
        raise ModelError(
            f"model {model} predicts tokens in any order; coding of text needs one that reads from the left"
        )
    return prior, tokenizer
