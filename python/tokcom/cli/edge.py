"""`tokcom serve`: models for devices that are too small for them."""

from pathlib import Path

import click

from tokcom.cli.options import device_option, json_option
from tokcom.cli.output import console, write_json
from tokcom.models.folders import DEFAULT_MODEL

ADDRESS, RAY_ADDRESS = "tcp://127.0.0.1:5570", "http://127.0.0.1:8000"


@click.command()
@click.option(
    "--models", default=DEFAULT_MODEL, show_default=True, help="Models that are served, separated by commas."
)  # fmt: skip
@click.option(
    "--address", help=f"ZeroMQ endpoint to serve at. [default: {ADDRESS}; with --replicas {RAY_ADDRESS}]"
)  # fmt: skip
@click.option(
    "--key", type=click.Path(dir_okay=False),
    help="File of the server's private key (tokcom keys new --private); needed to serve other machines.",
)  # fmt: skip
@click.option(
    "--trust", multiple=True, metavar="PUBLIC",
    help="Public key of a device, or a file that holds it; may be repeated. [default: any device]",
)  # fmt: skip
@click.option("--share", is_flag=True, help="Give the models' files to devices that ask (tokcom models pull).")
@click.option(
    "--accept", multiple=True, metavar="SIGNER",
    help="Signer of models that are taken (tokcom models push); may be repeated. [default: none are taken]",
)  # fmt: skip
@click.option(
    "--folder", default="models", show_default=True, type=click.Path(path_type=Path, file_okay=False),
    help="Where these models go.",
)  # fmt: skip
@click.option("--batch", default=8, show_default=True, type=click.IntRange(1, 64), help="Frames computed together.")
@click.option(
    "--wait-ms", default=5.0, show_default=True, type=click.FloatRange(0, 1000),
    help="Milliseconds that a request waits for others of its batch.",
)  # fmt: skip
@click.option("--queue", default=64, show_default=True, type=click.IntRange(1), help="Requests that may wait.")
@click.option(
    "--replicas", type=click.IntRange(1),
    help="Serve priors of pictures by Ray, in this number of processes, over HTTP.",
)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.01), help="Stop after so long. [default: at Ctrl-C]")
@device_option
@json_option("Write the counters as JSON")
def serve(
    models: str, address: str | None, key: str | None, trust: tuple[str, ...], share: bool, accept: tuple[str, ...],
    folder: Path, batch: int, wait_ms: float, queue: int, replicas: int | None,
    seconds: float | None, device: str, json_file: click.utils.LazyFile | None,
) -> None:  # fmt: skip
    """Serve priors, tokenizers and detokenizers to devices that are too small for them.

    A receiver asks with `--server`, the block Token Recovery with its parameter `server`. Ctrl-C answers what waits,
    then ends.
    """
    from dataclasses import asdict

    from tokcom.errors import KeyFileError
    from tokcom.interruption import interruption
    from tokcom.models.edge import load_edge_models
    from tokcom.models.installed import model_names
    from tokcom.models.shelf import ModelShelf
    from tokcom.offload.address import public_key
    from tokcom.offload.server import EdgeServer, ServerSettings
    from tokcom.security.agreement import load_private_key, public_text
    from tokcom.security.signatures import read_signer

    if replicas:
        if key or trust or share or accept or json_file:
            raise click.UsageError(
                "--replicas serves priors alone: without --key, --trust, --share, --accept and --json"
            )
        _serve_by_ray(models, address or RAY_ADDRESS, replicas, seconds, device)
        return
    if trust and key is None:
        raise KeyFileError("--trust goes with --key: only encrypted connections tell who a device is")
    own = None if key is None else load_private_key(key)
    trusted = [public_key(each) for each in trust] or None
    with console.status("loading models"):
        loaded = load_edge_models(models, device)
    settings = ServerSettings(batch, wait_ms / 1000, queue)
    shelf = None
    if share or accept:
        signers = tuple(map(read_signer, accept))
        shelf = ModelShelf(model_names(models) if share else (), folder if accept else None, signers)
    server = EdgeServer(loaded, address or ADDRESS, settings, own=own, trusted=trusted, shelf=shelf)
    with interruption() as ended:
        server.start()
        said = f", public key {public_text(own.public)}" if own is not None else ""
        console.print(
            f"serving {', '.join(each.codebook for each in loaded)} at {server.endpoint}{said}", soft_wrap=True
        )  # fmt: skip
        ended.wait(seconds)
        done = server.stop()
    counters = asdict(server.counters) | {"devices_refused": server.refused_devices, "all_answered": done}
    if json_file is not None:
        write_json(counters, json_file)
        return
    refused = ", ".join(f"{count} {reason}" for reason, count in counters["refused"].items()) or "none"
    console.print(
        f"{counters['answered']} of {counters['requests']} requests answered in {counters['batches']} batches of "
        f"{counters['frames']} frames; refused: {refused}; {counters['invalid']} invalid messages"
    )


def _serve_by_ray(models: str, address: str, replicas: int, seconds: float | None, device: str) -> None:
    """Serve priors in processes of Ray's until a signal, or for a number of seconds."""
    from functools import partial

    from tokcom.interruption import interruption
    from tokcom.models.edge import load_priors
    from tokcom.models.installed import model_card, model_names
    from tokcom.offload import ray_service

    folders = {name: str(model_card(name).folder.resolve()) for name in model_names(models)}
    with interruption() as ended:
        with console.status("starting Ray"):
            ray_service.start(partial(load_priors, folders, device), address, replicas)
        try:
            served = ", ".join(f"{address}/v2/models/{name}" for name in folders)
            console.print(f"{replicas} replicas serve {served}", soft_wrap=True)
            ended.wait(seconds)
        finally:
            ray_service.stop()
