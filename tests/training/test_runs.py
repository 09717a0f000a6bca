"""What a run's folder tells."""

from pathlib import Path

import pytest

from training.runs import read_json, write_json


def test_a_kill_in_the_middle_of_writing_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"stage": "bundle"})
    write = Path.write_text

    def cut_off(self: Path, text: str, **options: str) -> int:
        write(self, text[:5], **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut_off)
        with pytest.raises(KeyboardInterrupt):
            write_json(path, {"stage": "another"})
    assert read_json(path) == {"stage": "bundle"}
    write_json(path, {"stage": "another"})
    assert [(found.name, read_json(found)) for found in tmp_path.iterdir()] == [
        ("run.json", {"stage": "another"})
    ]
