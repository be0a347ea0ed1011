"""Files are whole or not there, and errors are one line."""

import pandas as pd
import pytest

from forest_cover.config import ConfigError
from forest_cover.files import (
    ProjectError,
    read_json,
    read_table,
    replacing,
    run_stage,
    write_json,
    write_table,
    write_text,
)


def write_half(path):
    with replacing(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt


def test_interrupted_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "made" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert [p.read_text() for p in path.parent.iterdir()] == ["old"]


def test_tables_and_numbers_come_back_as_they_were(tmp_path):
    table = pd.DataFrame({"Slope": [1, 2]}, index=[7, 9])
    write_table(table, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet", "fetch"), table)
    write_json({"é": [1.5]}, tmp_path / "n.json")
    assert read_json(tmp_path / "n.json", "fetch") == {"é": [1.5]}


def test_nan_is_not_written_as_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"score": float("nan")}, tmp_path / "n.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [read_table, read_json])
def test_spoilt_file_is_named_with_the_stage_that_makes_it(tmp_path, read):
    path = tmp_path / "spoilt"
    path.write_bytes(b"\x00PAR1 no table")
    with pytest.raises(ProjectError, match=r"spoilt can't be read .* run `dvc repro --force drop`"):
        read(path, "drop")


def test_stage_that_fails_prints_one_line_and_exits_with_1(capsys):
    def stage():
        raise ConfigError("data.cap=-1: no")

    with pytest.raises(SystemExit) as caught:
        run_stage(stage)
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: data.cap=-1: no\n"


def test_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_stage(lambda: 1 / 0)


def test_who_reads_a_file_while_it_is_written_sees_all_of_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        write_text("new", path)
        assert reader.read() == "old"
    assert path.read_text() == "new"
