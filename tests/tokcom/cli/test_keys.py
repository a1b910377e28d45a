from pathlib import Path

from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.security.keys import Key, load_key, save_key

SEALED = Path(__file__).parents[2] / "vectors/air-interface-1-sealed.sigmf-meta"


def test_a_new_key_is_shown_by_its_id_alone(tmp_path):
    path = tmp_path / "key"
    made = CliRunner().invoke(main, ["keys", "new", str(path)])
    shown = CliRunner().invoke(main, ["keys", "show", str(path)])
    key = load_key(path)
    assert made.exit_code == shown.exit_code == 0
    assert made.output == shown.output == f"{path}: key 0x{key.id:04x}\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_recordings_of_encrypted_bursts_are_replayed_with_their_key_as_often_as_asked(tmp_path, tiny_model):
    save_key(Key(bytes(range(32))), tmp_path / "key")
    command = ["replay", str(SEALED), "--model", str(tiny_model)]
    without = CliRunner().invoke(main, command)
    assert (
        without.exit_code == 0
        and without.output.count("is encrypted with key 0x2d14, which is not among the keys of this receiver") == 4
    )
    for _ in range(2):
        result = CliRunner().invoke(main, [*command, "--keys", str(tmp_path / "key")])
        assert result.exit_code == 0 and "encrypted" not in result.output
        assert len([line for line in result.output.splitlines() if "unknown-" in line]) == 4
    assert not (tmp_path / "key.seen").exists()


def test_two_ends_that_trust_each_other_share_a_key_and_take_a_direction_each(tmp_path):
    public = {}
    for name in "ab":
        made = CliRunner().invoke(main, ["keys", "new", "--private", str(tmp_path / name)])
        shown = CliRunner().invoke(main, ["keys", "show", str(tmp_path / name)])
        assert made.exit_code == 0 and made.output == shown.output
        public[name] = made.output.split()[-1]
    (tmp_path / "b.public").write_text(public["b"] + "\n", encoding="ascii")
    first = CliRunner().invoke(main, ["keys", "trust", *(str(tmp_path / each) for each in ("a", "b.public", "ab.key"))])
    second = CliRunner().invoke(main, ["keys", "trust", str(tmp_path / "b"), public["a"], str(tmp_path / "ba.key")])
    assert first.exit_code == second.exit_code == 0
    assert load_key(tmp_path / "ab.key") == load_key(tmp_path / "ba.key")
    assert {first.output[-2], second.output[-2]} == {"0", "1"}
    nobody = CliRunner().invoke(main, ["keys", "trust", str(tmp_path / "a"), "/no/where", str(tmp_path / "no")])
    assert nobody.exit_code and not (tmp_path / "no").exists()
