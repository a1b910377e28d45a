from click.testing import CliRunner

from tokcom.cli.main import main
from tokcom.security.keys import load_key


def test_a_new_key_is_shown_by_its_id_alone(tmp_path):
    path = tmp_path / "key"
    made = CliRunner().invoke(main, ["keys", "new", str(path)])
    shown = CliRunner().invoke(main, ["keys", "show", str(path)])
    key = load_key(path)
    assert made.exit_code == shown.exit_code == 0
    assert made.output == shown.output == f"{path}: key 0x{key.id:04x}\n"
    assert path.stat().st_mode & 0o777 == 0o600
