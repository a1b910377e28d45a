import hashlib
import json
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.errors import ModelError, TransportError
from tokcom.models.codebooks import codebook, model_of
from tokcom.models.shelf import CARD, SIGNATURE, Delivery, ModelShelf, model_entry, sign_model, verify_folder
from tokcom.models.travel import available, find_entry, pull, push
from tokcom.models.zoo import load_context
from tokcom.offload import files
from tokcom.offload.server import EdgeServer
from tokcom.security.agreement import PrivateKey, save_private_key
from tokcom.security.signatures import read_signer, signer_of, signer_text

pytest.importorskip("zmq")
OWN, OTHER = PrivateKey(bytes(range(32))), PrivateKey(b"o" * 32)
ANY_PORT = "tcp://127.0.0.1:0"


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces so small that even a tiny model has many."""
    from tokcom.models import travel

    monkeypatch.setattr(travel, "PIECE_BYTES", 5000)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def changed(folder, **entries):
    """Write other entries into a model's card, which makes it another version."""
    path = folder / CARD
    card = json.loads(path.read_text(encoding="utf-8")) | entries
    path.write_text(json.dumps(card), encoding="utf-8")
    (folder / SIGNATURE).unlink(missing_ok=True)


def test_a_model_is_pulled_whole_by_name_version_or_codebook(tiny_model, tmp_path, small_pieces):
    entry, said = model_entry(str(tiny_model)), []
    names = ("tiny", entry.version.hex()[:8], f"0x{codebook(str(tiny_model)).id:08x}")
    with EdgeServer([], ANY_PORT, shelf=ModelShelf([str(tiny_model)])) as server:
        assert available(server.endpoint) == [entry]
        for number, name in enumerate(names):
            folder = pull(server.endpoint, name, tmp_path / str(number), progress=lambda *done: said.append(done))
            assert content(folder) == content(tiny_model)
            assert folder.name == "tiny"
    assert said[-1] == (entry.size, entry.size)
    assert len(said) > 3 * len(entry.files)
    assert load_context(str(folder), "cpu").codebook == codebook(str(tiny_model)).name


def test_an_interrupted_pull_goes_on_where_it_was(tiny_model, tmp_path, small_pieces):
    def interrupt(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with EdgeServer([], ANY_PORT, shelf=ModelShelf([str(tiny_model)])) as server:
        with pytest.raises(KeyboardInterrupt):
            pull(server.endpoint, "tiny", tmp_path / "to", progress=interrupt)
        assert not (tmp_path / "to/tiny").exists()
        later = []
        folder = pull(server.endpoint, "tiny", tmp_path / "to", progress=lambda done, total: later.append(done / total))
    assert later[0] > 0.5
    assert content(folder) == content(tiny_model)
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["tiny"]


def test_versions_stay_side_by_side(tiny_model, make_tiny_model, tmp_path, monkeypatch):
    target = tmp_path / "to"
    with EdgeServer([], ANY_PORT, shelf=ModelShelf([str(tiny_model)])) as server:
        first = pull(server.endpoint, "tiny", target)
        assert pull(server.endpoint, "tiny", target) == first
    changed(tiny_model, description="a newer one")
    with EdgeServer([], ANY_PORT, shelf=ModelShelf([str(tiny_model)])) as server:
        second = pull(server.endpoint, "tiny", target)
        assert pull(server.endpoint, "tiny", target) == second
    version = model_entry(str(tiny_model)).version.hex()[:8]
    assert (first.name, second.name) == ("tiny", f"tiny@{version}")
    monkeypatch.setenv("TOKCOM_MODELS", str(target))
    assert load_context(f"tiny@{version}", "cpu").codebook == codebook("tiny").name
    assert model_of(codebook("tiny").name)


def test_signatures_tell_who_vouches_for_a_model(tiny_model, tmp_path):
    assert verify_folder(tiny_model) is None
    with pytest.raises(ModelError, match="nobody has signed"):
        verify_folder(tiny_model, [signer_of(OWN)])
    assert sign_model(str(tiny_model), OWN) == signer_text(signer_of(OWN))
    assert verify_folder(tiny_model, [signer_of(OTHER), signer_of(OWN)]) == signer_of(OWN)
    with pytest.raises(ModelError, match="not trusted"):
        verify_folder(tiny_model, [signer_of(OTHER)])
    with EdgeServer([], ANY_PORT, shelf=ModelShelf([str(tiny_model)])) as server:
        assert verify_folder(pull(server.endpoint, "tiny", tmp_path / "to", [signer_of(OWN)])) == signer_of(OWN)
        with pytest.raises(ModelError, match="not trusted"):
            pull(server.endpoint, "tiny", tmp_path / "other", [signer_of(OTHER)])
        assert not list((tmp_path / "other").iterdir())
    line = (tiny_model / SIGNATURE).read_text(encoding="ascii")
    changed(tiny_model, description="forged")
    (tiny_model / SIGNATURE).write_text(line, encoding="ascii")
    with pytest.raises(ModelError, match="not of this content"):
        verify_folder(tiny_model)
    (tiny_model / SIGNATURE).write_text("nonsense", encoding="ascii")
    with pytest.raises(ModelError, match="not a signature"):
        verify_folder(tiny_model)


def test_a_broken_model_is_neither_given_away_nor_verified(tiny_model):
    with (tiny_model / "context.safetensors").open("ab") as file:
        file.write(b"more")
    for use in (verify_folder, lambda folder: ModelShelf([str(folder)]), lambda folder: sign_model(str(folder), OWN)):
        with pytest.raises(ModelError, match="sha256"):
            use(tiny_model)


def test_a_server_takes_models_of_its_signers_alone(tiny_model, tmp_path, small_pieces):
    target = tmp_path / "to"
    with EdgeServer([], ANY_PORT, shelf=ModelShelf((), target, [signer_of(OWN)])) as server:
        with pytest.raises(TransportError, match="nobody has signed"):
            push(server.endpoint, str(tiny_model))
        sign_model(str(tiny_model), OTHER)
        with pytest.raises(TransportError, match="not trusted"):
            push(server.endpoint, str(tiny_model))
        sign_model(str(tiny_model), OWN)
        entry = push(server.endpoint, str(tiny_model))
        assert available(server.endpoint) == [entry]
    assert content(target / "tiny") == content(tiny_model)
    assert [path.name for path in target.iterdir()] == ["tiny"]


def test_servers_refuse_what_they_were_not_started_for(tiny_model, tmp_path):
    with EdgeServer([], ANY_PORT) as server, pytest.raises(TransportError, match="--share"):
        available(server.endpoint)
    with EdgeServer([], ANY_PORT, shelf=ModelShelf()) as server, pytest.raises(TransportError, match="--accept"):
        push(server.endpoint, str(tiny_model))
    shelf = ModelShelf((), tmp_path / "to", [], max_bytes=1000)
    with EdgeServer([], ANY_PORT, shelf=shelf) as server, pytest.raises(TransportError, match="at most 1000"):
        push(server.endpoint, str(tiny_model))


def whole(entry, source, target, signers=(), spoil=lambda name, data: data):
    """Deliver a model in one piece per file."""
    delivery = Delivery(entry, target, signers)
    while (wanted := delivery.wanted()) is not None:
        name = entry.files[wanted[0]].name
        delivery.take(wanted[0], wanted[1], spoil(name, (source / name).read_bytes())[wanted[1] :])
    return delivery.finish()


def test_what_arrives_with_another_hash_is_thrown_away(tiny_model, tmp_path):
    def flip(name, data):
        return data[:-1] + bytes([data[-1] ^ 1]) if name.startswith("context") else data

    with pytest.raises(ModelError, match="another hash"):
        whole(model_entry(str(tiny_model)), tiny_model, tmp_path / "to", spoil=flip)
    assert not list((tmp_path / "to").iterdir())


def test_a_card_that_names_other_files_is_refused_before_they_come(tiny_model, tmp_path):
    entry = model_entry(str(tiny_model))
    shutil.copy(tiny_model / "context.safetensors", tiny_model / "more.safetensors")
    stowaway = replace(entry.files[1], name="more.safetensors")
    with pytest.raises(ModelError, match="names other files"):
        whole(replace(entry, files=(*entry.files, stowaway)), tiny_model, tmp_path / "to")
    with pytest.raises(ModelError, match="must begin with its card"):
        whole(replace(entry, files=entry.files[1:]), tiny_model, tmp_path / "to")


PART = {"family": "a", "config": {}, "weights": "w", "sha256": "z"}


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"labels": 5}, "the files of its labels"),
        ({"context": PART | {"onnx": [1]}}, "the files of its context"),
        ({"context": PART | {"onnx": {"network": 3}}}, "the files of its context"),
        (None, "cannot be read"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(tiny_model, tmp_path, entries, fault):
    card = json.loads((tiny_model / CARD).read_text(encoding="utf-8"))
    raw = b"[" * 200_000 if entries is None else json.dumps(card | entries).encode()
    file = files.ModelFile(CARD, len(raw), hashlib.sha256(raw).digest())
    delivery = Delivery(files.ModelEntry(file.sha256, "tiny", 1, (file, replace(file, name="w"))), tmp_path / "to")
    delivery.take(0, 0, raw)
    with pytest.raises(ModelError, match=fault):
        delivery.wanted()


def test_pieces_out_of_turn_are_refused(tiny_model, tmp_path):
    delivery = Delivery(model_entry(str(tiny_model)), tmp_path / "to")
    for file, start, piece in ((1, 0, b"x"), (0, 1, b"x"), (0, 0, b""), (0, 0, b"x" * (1 << 20))):
        with pytest.raises(ModelError, match="not the next one"):
            delivery.take(file, start, piece)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", ".hidden", "a/b", "", "x" * 81])
def test_names_that_are_paths_cannot_travel(name):
    from tokcom.errors import MessageError, ParameterError
    from tokcom.offload.wire import opened

    entry = files.ModelEntry(b"v" * 32, "tiny", 1, (files.ModelFile("card.json", 1, b"h" * 32),))
    with pytest.raises(ParameterError, match="cannot be sent"):
        replace(entry, name=name).encode()
    raw = files.shelf_bytes([entry], 0).replace(b"card.json", b"../a.json")
    with pytest.raises(MessageError, match="not the name"):
        files.read_shelf(opened(raw)[2])


def test_the_wanted_model_must_be_one():
    entries = [files.ModelEntry(bytes([number]) * 32, "tiny", 7, ()) for number in range(2)]
    for wanted in ("tiny", "0x00000007", "nothing"):
        with pytest.raises(ModelError, match="version 01010101"):
            find_entry(entries, wanted)
    assert find_entry(entries, "01010101") == entries[1]


def test_commands(tiny_model, tmp_path, monkeypatch):
    save_private_key(OWN, tmp_path / "key")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(main, ["models", *map(str, words)])
        assert result.exit_code == 0, result.output
        return result.output

    signer = run("sign", tiny_model, "--key", tmp_path / "key").strip()
    assert read_signer(signer) == signer_of(OWN)
    assert signer in run("verify", tiny_model, "--signer", signer)
    with EdgeServer([], ANY_PORT, shelf=ModelShelf([str(tiny_model)], tmp_path / "given", [signer_of(OWN)])) as server:
        assert "tiny" in run("pull", "--from", server.endpoint)
        assert "models/tiny" in run("pull", "tiny", "--from", server.endpoint, "--signer", signer)
        run("push", tiny_model, "--to", server.endpoint)
    assert (tmp_path / "given/tiny/card.json").exists()
    run("remove", "models/tiny", "--yes")
    assert not (tmp_path / "models/tiny").exists()
