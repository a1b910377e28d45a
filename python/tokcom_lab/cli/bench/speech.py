"""`tokcom bench speech`: speech as tokens beside Codec2 and Lyra, over noise and losses."""

from pathlib import Path

import click

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Names, Numbers, json_option, seed_option
from tokcom.cli.output import progress_bar, show, write_json

SYSTEMS = "drop", "keep", "list", "context", "700C", "1300"
LYRA = "lyra"
"""System whose networks the user has."""


@click.command()
@click.option(
    "--data", default=".cache/speech/data", show_default=True, type=click.Path(path_type=Path),
    help="Recordings of `./run speech data`; the test split is measured.",
)  # fmt: skip
@click.option("--model", default="speech8k", show_default=True, help="A model of speech, by name or folder.")
@click.option("--systems", type=Names((*SYSTEMS, LYRA)), default=",".join(SYSTEMS), show_default=True)
@click.option(
    "--lyra", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of Lyra v2's networks, which the system `lyra` needs.",
)  # fmt: skip
@click.option("--esn0-db", type=Numbers(), default="-5,-4,-3,-2,-1,0,1,2", show_default=True)
@click.option("--per-speaker", default=1, show_default=True, type=click.IntRange(1), help="Excerpts per speaker.")
@click.option("--digits", default=20, show_default=True, type=click.IntRange(0), help="Digits to recognise.")
@click.option(
    "--frames", default=16, show_default=True, type=click.IntRange(2, 20), help="Frames of 40 ms sent together."
)
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Draw spectrograms of one excerpt at --picture-esn0-db instead."
)
@click.option("--picture-esn0-db", default=-2.0, show_default=True, type=float)
@seed_option
@json_option("Write the figures as JSON")
def speech(
    data: Path, model: str, systems: list[str], lyra: Path | None, esn0_db: list[float], per_speaker: int, digits: int,
    frames: int, picture: Path | None, picture_esn0_db: float, seed: int, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """ESTOI, log-spectral distance and digits recognised over Es/N0, AWGN, packets of 80 ms, K=7 (half an hour)."""
    from tokcom.channel.awgn import noise_variance
    from tokcom.models.speech import load_speech_tokenizer
    from tokcom_lab.speech.bench import curve, losses, summary
    from tokcom_lab.speech.computing import computing
    from tokcom_lab.speech.material import bench_material, bench_systems, picture_of

    if LYRA in systems and lyra is None:
        raise click.UsageError("the system lyra needs the folder of its networks: --lyra FOLDER (see docs/speech.md)")
    for value in (*esn0_db, picture_esn0_db):
        noise_variance(value)
    if picture is not None:
        picture_of(picture, data, bench_systems(model, systems, frames, lyra)[0], picture_esn0_db, seed)
        return
    chosen, concealing = bench_systems(model, systems, frames, lyra)
    material = bench_material(data, per_speaker, digits)
    with progress_bar() as bar:
        row = bar.add_task("points", total=len(chosen) * (len(esn0_db) + 1))
        figures = summary(curve(chosen, material, esn0_db, seed, lambda: bar.advance(row)))
        figures["losses"] = losses(concealing, material, seed)
    speech_tokenizer, signal = load_speech_tokenizer(model), next(iter(material.excerpts.values()))[0]
    figures["computing"] = [computing(speech_tokenizer, signal, count) for count in (2, 4)]
    if json_file is not None:
        write_json({"command": recorded_command()} | figures, json_file)
    else:
        show(figures["curve"], "speech")
        show(figures["losses"], "one packet in five lost")
        show(figures["computing"], "stream, processor seconds per second")
