"""`tokcom text`: a text through noise, received in four ways."""

import click

from tokcom.cli.options import seed_option
from tokcom.cli.output import progress_bar

POLICIES = "fixed", "cqi", "semantic", "semantic-power"
"""Policies of `link.adaptation`; "cqi-context" differs from "cqi" in a receiver's reports alone."""
MARK = {"fg": "red", "underline": True}


@click.command()
@click.argument("text")
@click.option("--esn0-db", default=3.0, show_default=True, type=float, help="Es/N0 in dB.")
@click.option("--model", default="smollm2", show_default=True, help="A model of text, by name or folder.")
@click.option("--mcs", default="16qam-1/2", show_default=True, help="Modulation and code rate of all packets.")
@click.option("--tokens-per-packet", default=3, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--policy", type=click.Choice(POLICIES), default="fixed", show_default=True,
    help="How the transmitter, which knows Es/N0, chooses the MCS; semantic ones by what the receiver can guess.",
)  # fmt: skip
@click.option(
    "--bound", default=0.005, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of tokens that a semantic policy may expect to be wrong.",
)  # fmt: skip
@seed_option
def text(
    text: str, esn0_db: float, model: str, mcs: str, tokens_per_packet: int, policy: str, bound: float, seed: int
) -> None:  # fmt: skip
    """Send TEXT through noise and show what four receivers make of it; - reads it from standard input.

    Words that a receiver is not sure of stand in brackets: [word?]. The model is made ready when it is first wanted,
    which takes some minutes.
    """
    import sys

    import numpy as np

    from tokcom.channel.awgn import noise_variance
    from tokcom.errors import TextError
    from tokcom.link.adaptation import AdaptationConfig
    from tokcom.link.text import RECEIVERS
    from tokcom.models.installed import make_missing
    from tokcom.models.text import load_text_link
    from tokcom.tokenizers.text import MAX_CHARACTERS

    noise_variance(esn0_db)
    if text == "-":
        try:
            given = sys.stdin.buffer.read(4 * MAX_CHARACTERS + 1)
            if len(given) > 4 * MAX_CHARACTERS:
                raise TextError(f"standard input is longer than {MAX_CHARACTERS} characters; send it in parts")
            text = given.decode()
        except UnicodeDecodeError as error:
            raise TextError(f"byte {error.start} of standard input is not UTF-8; convert the text") from None
    with progress_bar() as bar:
        row = bar.add_task(f"making {model} ready", total=1.0)
        make_missing(model, lambda share: bar.update(row, completed=share))
    adaptation = AdaptationConfig(policy, mcs, bound=bound)
    link = load_text_link(model, mcs=mcs, tokens_per_packet=tokens_per_packet, adaptation=adaptation)
    sent = link.send(text, esn0_db, np.random.default_rng(seed))
    failed = int((sent.arrival.received.sent & ~sent.arrival.packets_ok).sum())
    click.echo(
        f"{len(text)} characters, {len(sent.tokens)} tokens, {len(sent.arrival.positions)} packets at {esn0_db:g} dB; "
        f"the CRC of {failed} fails"
    )
    if policy != "fixed":
        choice = sent.choice
        expected = "" if np.isnan(choice.expected_ter) else f", {100 * choice.expected_ter:.2g}% of tokens wrong"
        click.echo(f"policy {policy}: {choice.summary}; {choice.airtime} samples at {choice.power_db:.1f} dB{expected}")
    for name, weighs in RECEIVERS.items():
        received = sent.received(name)
        wrong = [is_wrong for _, is_wrong in received.shown()]
        click.echo(f"\n{click.style(name, bold=True)} ({weighs}): {sum(wrong)} of {len(wrong)} words wrong")
        click.echo("".join(_shown(word) for word in received.words))


def _shown(word: object) -> str:
    from tokcom.tokenizers.visible import visible

    if word.text.isspace():
        return "\n".join(map(visible, word.text.split("\n")))
    return visible(word.text) if word.sure else click.style(f"[{visible(word.text)}?]", **MARK)
