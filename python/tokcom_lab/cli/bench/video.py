"""`tokcom bench video`: videos over the air, in view of the frame before and without."""

from dataclasses import asdict
from itertools import product
from pathlib import Path

import click

from tokcom.cli.options import Names, Numbers, WholeNumbers, device_option, json_option, model_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json

PARTS = ("schemes", "airtime", "codecs", "curve", "loss", "damage", "losses", "speed")
USUAL_TOKENS = 4
"""Tokens per packet of frames that stand alone; for the first of the weights, those of groups are reckoned as well."""
SPEED_ESN0_DB = 8.0
COLUMNS = ("part", "scheme", "bits_per_token", "psnr_db", "airtime_ms", "flicker")


@click.command()
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder, tar or zip of train/VIDEO/* and test/VIDEO/*, frames in order of their names; may be repeated.",
)
@click.option("--frames", default=16, show_default=True, type=click.IntRange(2), help="First frames of each video.")
@click.option("--visits", default=4, show_default=True, type=click.IntRange(0), help="Search passes per frame.")
@click.option("--parts", type=Names(PARTS), default=",".join(PARTS), show_default=True, help="What is measured.")
@click.option("--esn0-db", type=Numbers(), default="1,1.5,2,2.5,3", show_default=True, help="Of the curve.")
@click.option("--airtime-esn0-db", default=8.0, show_default=True, help="Es/N0 in dB at which airtime is reckoned.")
@click.option("--bound", default=0.02, show_default=True, help="Share of tokens that may be wrong, for the airtime.")
@click.option("--groups", type=WholeNumbers(1, 16), default="1,8", show_default=True, help="Frames per burst.")
@click.option("--tokens-per-packet", default=8, show_default=True, type=click.IntRange(1, 64), help="Of groups.")
@click.option(
    "--weights",
    type=Numbers(),
    default="1,8",
    show_default=True,
    help="Frame by frame, for the airtime: a bit's weights in the search, relative to the model's.",
)
@click.option("--received", default=2, show_default=True, type=click.IntRange(0), help="Videos sent in groups.")
@click.option("--lost", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="Share of packets lost.")
@model_option
@device_option
@seed_option
@json_option("Write the figures as JSON")
def video(
    data: tuple[Path, ...], frames: int, visits: int, parts: list[str], esn0_db: list[float], airtime_esn0_db: float,
    bound: float, groups: list[int], tokens_per_packet: int, weights: list[float], received: int, lost: float,
    model: str, device: str, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Measure videos of the test split: every frame by itself, or in view of the one before, and video codecs (an hour
    for ten videos).

    Tokens without losses: bits per token to the receiver, PSNR, flicker, airtime under the policy "semantic"; the
    airtime of groups of frames, and what arrives; the same rate by H.264 and AV1; errors over Es/N0; PSNR with packets
    lost; how long damage lasts; both for groups of frames; frames per second, end to end.
    """
    from tokcom.models.fits import load_residual
    from tokcom.models.zoo import load_context, load_tokenizer, load_video_tokenizer
    from tokcom.packets.bits import bits_per_token
    from tokcom.tokenizers.vq import VQTokenizer
    from tokcom_lab.curves import video_curve as curves
    from tokcom_lab.curves.video_codecs import CODECS, best_within
    from tokcom_lab.curves.video_groups import Sending, airtime
    from tokcom_lab.curves.video_losses import ALONE_PASSES, GROUP_PASSES, LossComparison, Propagation
    from tokcom_lab.curves.video_speed import speed
    from tokcom_lab.training.dataset import load_dataset
    from tokcom_lab.training.motion import videos

    moving, single = load_video_tokenizer(model, visits, device), load_tokenizer(model, visits, device)
    prior, residual = load_context(model, device), load_residual(model)
    test = load_dataset(data, "test", size=single.image_size, crops=1)
    shown = {test.classes[test.labels[each[0]]]: test.pictures[each[:frames], 0] for each in videos(test)}
    rows: list[dict] = []

    def add(part: str, figures: dict) -> None:
        rows.append(dict.fromkeys(COLUMNS) | {"part": part} | figures)

    with progress_bar() as bar:
        total = sum(map(len, shown.values()))
        passes = 2 + 2 * ("schemes" in parts) + len(groups) * ("airtime" in parts)
        passes += (2 * len(weights) + 1) * ("airtime" in parts)
        passes += 3 * len(esn0_db) * ("curve" in parts) + 2 * ("loss" in parts)
        passes += (GROUP_PASSES * len(groups) + ALONE_PASSES) * ("losses" in parts)
        row = bar.add_task("frames", total=total * passes)

        def done(count: int) -> None:
            bar.advance(row, count)

        def clips_of(tokenizer: VQTokenizer) -> list[curves.Clip]:
            if tokenizer is single and curves.ALONE in clips:
                done(total)
                return clips[curves.ALONE]
            way = curves.alone_way(tokenizer)
            return [curves.tokenized(name, pictures, way, done) for name, pictures in shown.items()]

        way, clips = curves.following_way(moving), {}
        clips[curves.FOLLOWING] = [curves.tokenized(name, pictures, way, done) for name, pictures in shown.items()]
        clips[curves.ALONE] = clips_of(single)
        if "schemes" in parts:
            for scheme, own in clips.items():
                found = curves.quality(scheme, own, single, prior, residual, airtime_esn0_db, bound, done)
                add("schemes", asdict(found))
        if "airtime" in parts:
            for group in groups:
                sending = Sending(group, tokens_per_packet, airtime_esn0_db, bound)
                own = curves.FOLLOWING, clips[curves.FOLLOWING], model, single, sending
                add("airtime", asdict(airtime(*own, received, 1.0, seed, device, done)))
            for weight in weights:
                own = clips_of(curves.weighed(single, weight))
                for size in sorted({USUAL_TOKENS, tokens_per_packet if weight == weights[0] else USUAL_TOKENS}):
                    sending = Sending(1, size, airtime_esn0_db, bound)
                    case = curves.ALONE, own, model, single, sending, received if size == USUAL_TOKENS else 0
                    add("airtime", asdict(airtime(*case, weight, seed, device, done)))
        if "curve" in parts:
            cases = {
                curves.FOLLOWING: clips[curves.FOLLOWING],
                f"{curves.FOLLOWING}, received alone": curves.alone(clips[curves.FOLLOWING]),
                curves.ALONE: clips[curves.ALONE],
            }
            for scheme, own in cases.items():
                for point in curves.curve(scheme, own, model, single, esn0_db, seed, device, done):
                    add("curve", asdict(point))
        if "loss" in parts:
            for scheme in (curves.FOLLOWING, curves.REPEATED):
                own = clips[curves.FOLLOWING]
                add("loss", asdict(curves.losses(scheme, own, model, single, lost, seed, device, done)))
        if "losses" in parts:
            bench = LossComparison(model, single, lost, seed, device, done)
            for group in groups:
                sending = Sending(group, tokens_per_packet, airtime_esn0_db, bound)
                for each in bench.groups(clips[curves.FOLLOWING], sending):
                    part = "propagation" if isinstance(each, Propagation) else "losses"
                    add(part, {"group": group} | asdict(each))
            for each in bench.alone(clips[curves.ALONE]):
                add("losses", asdict(each))
        if "speed" in parts:
            pictures = next(iter(shown.values()))
            add("speed", asdict(speed(pictures, model, moving, single, SPEED_ESN0_DB, seed, device)))
    if "codecs" in parts:
        per_frame, count = single.grid[0] * single.grid[1], sum(map(len, shown.values()))
        budgets = {"all bits of the tokens": per_frame * bits_per_token(single.codebook_size)}
        for each in rows:
            if (each["part"], each["scheme"]) == ("schemes", curves.FOLLOWING):
                budgets["bits that the receiver lacks"] = per_frame * each["bits_per_token"]
        for name, (label, bits) in product(CODECS, budgets.items()):
            found = [best_within(pictures, name, int(bits * len(pictures) / 8)) for pictures in shown.values()]
            spent, quality = sum(each[0] for each in found), sum(each[1] for each in found) / len(found)
            add("codecs", {"scheme": f"{name}, {label}", "psnr_db": quality, "bits_per_frame": 8 * spent / count})
    if "damage" in parts:
        for clip in clips[curves.FOLLOWING]:
            add("damage", {"scheme": clip.name, "below_db": curves.spread_of_damage(clip, model, single, device)})
    if json_file is not None:
        write_json(rows, json_file)
        return
    for part in dict.fromkeys(each["part"] for each in rows):
        own = [
            {name: value for name, value in each.items() if value is not None} for each in rows if each["part"] == part
        ]
        if own:
            show(own, part)
