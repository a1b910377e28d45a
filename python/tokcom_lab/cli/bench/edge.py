"""`tokcom bench edge`, `replicas`, `scale`: an edge server, its devices, and many of both."""

from pathlib import Path

import click

from tokcom.cli.options import Names, Numbers, WholeNumbers, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json
from tokcom_lab.cli.options import images_option, split_data_option

PARTS = ("decisions", "load", "killed", "fuzz", "writing", "language")


@click.command()
@split_data_option
@model_option
@images_option(60, "Test photographs at each Es/N0.")
@click.option("--esn0-db", type=Numbers(), default="2,3,4,5", show_default=True, help="Es/N0 in dB.")
@click.option(
    "--visits", default=0, show_default=True, type=click.IntRange(0), help="Search passes per photograph."
)  # fmt: skip
@click.option("--clients", type=WholeNumbers(1, 1024), default="1,8,32", show_default=True, help="Numbers of clients.")
@click.option(
    "--requests", default=320, show_default=True, type=click.IntRange(8), help="Questions per number of clients."
)  # fmt: skip
@click.option(
    "--deadline", default=0.25, show_default=True, type=click.FloatRange(0.001), help="Deadline in s, server killed."
)  # fmt: skip
@click.option("--messages", default=1_000_000, show_default=True, type=click.IntRange(1), help="Spoilt messages.")
@click.option("--texts", default=1000, show_default=True, type=click.IntRange(1), help="Texts of random networks.")
@click.option("--language", default="smollm2", show_default=True, help="Language model at the server.")
@click.option("--prompts", default=6, show_default=True, type=click.IntRange(1), help="Texts of the language model.")
@click.option("--words", default=32, show_default=True, type=click.IntRange(1, 1024), help="Words to write of each.")
@click.option("--parts", type=Names(PARTS), default=",".join(PARTS), show_default=True, help="What is measured.")
@seed_option
@json_option("Write the figures as JSON")
def edge(
    data: Path, model: str, images: int, esn0_db: list[float], visits: int, clients: list[int], requests: int,
    deadline: float, messages: int, texts: int, language: str, prompts: int, words: int,
    parts: list[str], seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure an edge server on the loopback: pictures that never leave the device, latency under load beside a plain
    HTTP server of the same model, a server that is killed, spoilt messages, and texts that a device drafts (an hour).

    Interrupted, it goes on with the frames that are not yet decoded.
    """
    from tokcom.models.card import SMALL_CONTEXT
    from tokcom_lab.edge.fuzz import fuzzed
    from tokcom_lab.edge.load import killed_row, load_rows

    found = {}
    with progress_bar() as bar:

        def counted(what: str, total: int):
            row = bar.add_task(what, total=total)
            return lambda done: bar.advance(row, done)

        if "decisions" in parts:
            found["decisions"] = _decisions(data, model, images, esn0_db, visits, seed, counted)
        if "load" in parts:
            progress = counted("load", 2 * requests * len(clients))
            found["load"] = load_rows(model, clients, requests, seed, progress)
        if "killed" in parts:
            progress = counted("killed", requests)
            found["killed"] = [killed_row(model, SMALL_CONTEXT, deadline, requests, seed, progress)]
        if "fuzz" in parts:
            found["fuzz"] = [fuzzed(messages, seed, counted("spoilt messages", messages))]
        if "writing" in parts:
            found["writing"] = _writing(texts, seed, counted)
        if "language" in parts:
            found["language"] = _language(language, prompts, words, seed, counted)
    if json_file is not None:
        write_json(found, json_file)
        return
    for name, rows in found.items():
        show(rows, name)


def _decisions(
    data: Path, model: str, images: int, esn0_db: list[float], visits: int, seed: int, counted
) -> list[dict]:
    from tokcom.models.card import CONTEXT, SMALL_CONTEXT
    from tokcom.models.edge import load_policy
    from tokcom_lab.edge.decisions import decision_rows, decoded, edge_bench

    bench = edge_bench(data, model, images, "test", visits, seed)
    total = len(bench.frames) * len(esn0_db)
    here, there = (
        decoded(bench, part, esn0_db, progress=counted(f"frames by the {part}", total))
        for part in (SMALL_CONTEXT, CONTEXT)
    )
    policy = load_policy(model)
    if policy is None:
        raise click.UsageError(f"model {model} has no policy; ./run escalation --model {model} --data DIR learns one")
    rows = decision_rows(here, there, policy)
    for row, value in zip(rows, [*esn0_db, None], strict=True):
        own, other = ([r for r in each if value in (None, r.esn0_db)] for each in (here, there))
        row["ms_here"] = 1000 * sum(r.seconds for r in own) / len(own)
        row["passes_here"] = sum(r.passes for r in own) / len(own)
        row["passes_large"] = sum(r.passes for r in other) / len(other)
        row["ms_large"] = 1000 * sum(r.seconds for r in other) / len(other)
    return rows


@click.command()
@model_option
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes of Ray.")
@click.option("--clients", default=4, show_default=True, type=click.IntRange(1, 256), help="Devices that ask.")
@click.option("--requests", default=240, show_default=True, type=click.IntRange(8), help="Questions of all devices.")
@click.option("--deadline", default=5.0, show_default=True, type=click.FloatRange(0.001), help="Deadline in s.")
@seed_option
@json_option("Write the figures as JSON")
def replicas(
    model: str, replicas: int, clients: int, requests: int, deadline: float, seed: int,
    json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Kill one of several replicas behind Ray Serve while devices ask them (some minutes)."""
    from tokcom.models.card import SMALL_CONTEXT
    from tokcom_lab.edge.replicas import replicas_row

    with progress_bar() as bar:
        row = bar.add_task("questions", total=requests)
        found = replicas_row(
            model, SMALL_CONTEXT, replicas, clients, requests, deadline, seed, lambda done: bar.advance(row, done)
        )  # fmt: skip
    if json_file is not None:
        write_json({"replicas": [found]}, json_file)
        return
    show([found], "replicas, of which one is killed")


TINY_WORDS = 8
"""Words of each text of random networks."""
PROMPT_TOKENS = 32
"""Tokens of a paragraph that a language model continues."""


def _writing(texts: int, seed: int, counted) -> list[dict]:
    import numpy as np

    from tokcom_lab.edge.writing import TINY, Writing, tiny_models, writing_rows

    ways = [Writing("identical", 0.0, 4), Writing("identical", 1.0, 4), Writing("law", 1.0, 4)]
    prompts = np.random.default_rng(seed).integers(1, TINY.codebook_size, (texts, 4))
    progress = counted("texts of random networks", texts * len(ways))
    return writing_rows(*tiny_models(seed), list(prompts), TINY_WORDS, ways, seed, progress)


def _language(model: str, prompts: int, words: int, seed: int, counted) -> list[dict]:
    import numpy as np

    from tokcom.context.lookup import LookupPrior
    from tokcom.models.codebooks import word_frequencies
    from tokcom.models.text import load_exact_language
    from tokcom_lab.edge.writing import Writing, writing_rows
    from tokcom_lab.text_messages import OWN_PROSE, MessageDraw, cut_messages, paragraphs, split, text_files

    large, tokenizer = load_exact_language(model)
    prose = paragraphs(text_files(OWN_PROSE))
    seen = np.concatenate([tokenizer.tokenize(each).tokens for each in split(prose, True)])
    small = LookupPrior(large.codebook, word_frequencies(model), seen)
    given = cut_messages(split(prose, False), tokenizer, MessageDraw(prompts, PROMPT_TOKENS, PROMPT_TOKENS, seed))
    ways = [
        Writing("identical", 0.0, 4), Writing("identical", 0.0, 8), Writing("identical", 0.7, 4), Writing("law", 0.7, 4)
    ]  # fmt: skip
    tokens = [tokenizer.tokenize(each).tokens for each in given]
    progress = counted(f"texts of {model}", prompts * len(ways))
    return writing_rows(large, small, tokens, words, ways, seed, progress)


@click.command()
@model_option
@click.option("--cells", default=10_000, show_default=True, type=click.IntRange(1), help="Cells.")
@click.option("--devices", default=1_000_000, show_default=True, type=click.IntRange(1), help="Devices.")
@click.option("--codebooks", default=1000, show_default=True, type=click.IntRange(1), help="Codebooks in use.")
@click.option(
    "--kept", type=WholeNumbers(1, 1 << 20), default="10,30,100,300", show_default=True,
    help="Models that a cell keeps.",
)  # fmt: skip
@click.option("--stay", default=0.5, show_default=True, type=click.FloatRange(0, 1), help="Share of frames that stay.")
@click.option("--passes", default=8.0, show_default=True, type=click.FloatRange(0), help="Questions per other frame.")
@click.option(
    "--pictures-per-s", default=20.0, show_default=True, type=click.FloatRange(0.01),
    help="Questions that a server answers per second.",
)  # fmt: skip
@seed_option
@json_option("Write the figures as JSON")
def scale(
    model: str, cells: int, devices: int, codebooks: int, kept: list[int], stay: float, passes: float,
    pictures_per_s: float, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Simulate many cells and devices: caches of models, updates, questions to edge servers, ids that collide (some
    minutes)."""
    from dataclasses import asdict

    from tokcom.models.card import SMALL_CONTEXT
    from tokcom.models.installed import model_card
    from tokcom.models.zoo import load_context
    from tokcom.offload.messages import EXACT, answer_bytes
    from tokcom_lab.edge.load import LOST_SHARE
    from tokcom_lab.edge.scale import HOURS, Network, cache_rows, collision_rows, question_row, update_row

    card, prior = model_card(model), load_context(model, "cpu")

    def size(*parts: str) -> int:
        return sum(card.weights(part).stat().st_size for part in parts if part in card.content)

    # A cell needs no classifier; a device needs the tokenizer and its small context.
    network = Network(cells, devices, codebooks, model_bytes=size("tokenizer", "context", SMALL_CONTEXT, "labels"))
    places = prior.grid[0] * prior.grid[1]
    answer = answer_bytes(round(LOST_SHARE * places), prior.codebook_size, None, EXACT)
    with progress_bar() as bar:
        row = bar.add_task("hours", total=HOURS * len(kept))
        caches = cache_rows(network, kept, seed, lambda done: bar.advance(row, done))
    found = {
        "network": [asdict(network)], "caches": caches,
        "update": [update_row(network, size("tokenizer", SMALL_CONTEXT), 100.0, 10.0)],
        "questions": [question_row(network, stay, passes, pictures_per_s, 4 * places, answer)],
        "collisions": collision_rows([100, 1000, 10_000, 100_000]),
    }  # fmt: skip
    if json_file is not None:
        write_json(found, json_file)
        return
    for name, rows in found.items():
        show(rows, name)
