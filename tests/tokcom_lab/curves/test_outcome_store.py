import pytest

from tokcom_lab.curves.outcome_store import OutcomeStore, made_of


def test_what_was_measured_is_known_again(tmp_path):
    store = OutcomeStore(["a", 1], tmp_path)
    store.add(["frame", 3, 0.5], (0.25, 1, 64, None))
    again = OutcomeStore(["a", 1], tmp_path)
    assert again.get(["frame", 3, 0.5]) == [0.25, 1, 64, None]
    assert again.get(["frame", 3, 0.25]) is None


def test_what_another_model_or_code_measured_is_not(tmp_path):
    OutcomeStore(["a", 1], tmp_path).add("frame", (1.0,))
    assert OutcomeStore(["a", 2], tmp_path).get("frame") is None
    model, code = made_of("caltech64")
    assert made_of("photo256")[0] != model and made_of("photo256")[1] == code


def test_a_line_that_was_cut_off_is_measured_again(tmp_path):
    OutcomeStore("a", tmp_path).add("frame", (1.0,))
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '["abc", [0.')
    store = OutcomeStore("a", tmp_path)
    assert store.get("frame") == [1.0] and store.get("abc") is None


@pytest.mark.parametrize("folder", [None, "/dev/null/nowhere"])
def test_without_a_folder_it_lasts_as_long_as_the_run(folder):
    store = OutcomeStore("a", folder)
    store.add("frame", (1.0,))
    assert store.get("frame") == [1.0]
