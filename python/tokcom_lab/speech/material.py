"""Material and systems of the measurements of speech."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from tokcom.errors import ParameterError
from tokcom.link.modes import WITH_PRIOR
from tokcom.link.recovery import FrameRecovery
from tokcom.models.installed import model_card
from tokcom.models.recovery import load_recovery
from tokcom.models.speech import load_speech_tokenizer
from tokcom.tokenizers.lyra import LyraTokenizer
from tokcom_lab.cache import model_content
from tokcom_lab.speech.bench import SpeechMaterial
from tokcom_lab.speech.dataset import Speech, load_speech
from tokcom_lab.speech.digits import DigitRecognizer, digits_of
from tokcom_lab.speech.figure import draw_spectrograms
from tokcom_lab.speech.quality import PER_SPEAKER, estoi_of, excerpts, spread
from tokcom_lab.speech.systems import DROP, Codec2System, LyraSystem, SpeechSystem, TokenSystem

WORDS = 128
"""Words of the pitch in the cached recordings."""
CODEC2 = {"1300": ("bpsk", "3/4"), "700C": ("bpsk", "1/2")}
"""Modulation and code rate of Codec2's modes: about as many symbols per packet as the tokens'."""
LYRA = "lyra"
LYRA_SENT = "16qam", "1/2"
"""Modulation and code rate of Lyra at 3.2 kbit/s, chosen likewise."""
CONCEALING = {DROP: DROP, "mask": "context"}
"""Receivers of tokens that conceal losses, and the system that brings them into the measurement."""


def bench_material(folder: Path, per_speaker: int, digits: int) -> SpeechMaterial:
    """Excerpts of the test split, digits of its speakers, and a recogniser that knows other recordings of all speakers
    of digits."""
    train, test = (load_speech(folder, split, WORDS) for split in ("train", "test"))
    signals, spoken = digits_of(test)
    # Odd recordings are learnt, even ones sent.
    known, known_spoken = digits_of(train)
    learnt = [*signals[1::2], *known], np.concatenate([spoken[1::2], known_spoken])
    chosen = spread(len(signals[::2]), digits)
    return SpeechMaterial(
        _excerpts(test, folder, per_speaker),
        [signals[::2][each] for each in chosen],
        spoken[::2][chosen],
        cache(lambda: DigitRecognizer.of_cache(*learnt)),
    )


def bench_systems(
    model: str, names: Sequence[str], frames: int, lyra: Path | None = None
) -> tuple[list[SpeechSystem], list[SpeechSystem]]:  # fmt: skip
    """Systems by name: receivers of tokens, modes of Codec2, and Lyra; and those that conceal lost packets.

    Args:
        model: a model of speech, by name or folder.
        names: of the systems.
        frames: frames of 40 ms per frame of tokens.
        lyra: folder of Lyra's networks, where it is among them.
    """
    others = {name: Codec2System(name, *CODEC2[name]) for name in names if name in CODEC2}
    if LYRA in names:
        others[LYRA] = LyraSystem(LyraTokenizer(lyra), *LYRA_SENT)
    tokenizer = load_speech_tokenizer(model)

    @cache
    def recovery(receiver: str) -> FrameRecovery | None:
        return None if receiver == DROP else load_recovery(model, receiver, "cpu")

    def tokens(receiver: str) -> TokenSystem:
        informed = receiver in WITH_PRIOR
        content = model_content(model) if informed else [model_card(model).part("tokenizer")["sha256"]]
        return TokenSystem(tokenizer, receiver, recovery(receiver), frames, content=content)

    chosen = [others[name] if name in others else tokens(name) for name in names]
    concealing = [tokens(receiver) for receiver, wanted in CONCEALING.items() if wanted in names]
    return chosen, [*concealing, *others.values()]


def picture_of(path: Path, folder: Path, systems: Sequence[SpeechSystem], esn0_db: float, seed: int) -> None:
    """Draw one excerpt of the first speaker: as it was, and as each system brings it through noise."""
    of_speakers = _excerpts(load_speech(folder, "test", WORDS), folder, PER_SPEAKER)
    signal = next(iter(of_speakers.values()))[:2][-1]
    shown = {"original": signal}
    for system in systems:
        heard = system.through_noise(signal, esn0_db, np.random.default_rng(seed))
        name = f"{system.name}, {system.bit_rate:.0f} bit/s, at {esn0_db:g} dB: ESTOI {estoi_of(signal, heard):.2f}"
        shown[name] = heard
    draw_spectrograms(path, shown)


def _excerpts(speech: Speech, folder: Path, per_speaker: int) -> dict[str, list[np.ndarray]]:
    found = excerpts(speech, per_speaker)
    if not found:
        raise ParameterError(f"{folder / 'test'} holds no 3 s of any speaker; add recordings of at least that together")
    return found
