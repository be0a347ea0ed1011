"""How outputs come to the source, and how pages are written."""

from pathlib import Path

import nbformat
import pytest
from book_tools.pages import PageError
from book_tools.publish import WIDGET_MIME, publish, write_notebook
from book_tools.writing import replace_text
from tiny_pages import write_page

from ml4ops_helpers import RECORD_MIME

ALT = "A line that rises from zero to one."


def output(**data):
    alt = data.pop("alt", None)
    return nbformat.v4.new_output("display_data", data=data, metadata={"image/png": {"alt": alt}} if alt else {})


def executed(source, *outputs):
    """The notebook as papermill leaves it: parameters added, outputs in the code cells after them."""
    done = nbformat.from_dict(source)
    added = nbformat.v4.new_code_cell("profile = 'smoke'", metadata={"tags": ["injected-parameters"]})
    done.cells.insert(2, added)
    for count, (cell, found) in enumerate(zip(done.cells[3:], outputs, strict=True), start=3):
        cell.outputs, cell.execution_count = found, count
    done.cells[1].execution_count = 1
    return done


@pytest.fixture
def source(tmp_path):
    return nbformat.read(write_page(tmp_path, "01_a", ("import x", "setup"), "show()\nshow()"), as_version=4)


def test_a_published_page_is_the_source_with_outputs(source):
    record = {"page": "01_a", "metrics": {"iou": 0.5}}
    outputs = [output(**{"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}, alt=ALT)]
    outputs += [output(**{"text/plain": "done", RECORD_MIME: record})]
    page, errors = publish(source, executed(source, [], outputs), {"key": "k", "seconds": 2.0})
    assert [c.id for c in page.cells] == [c.id for c in source.cells]
    assert page.cells[3].metadata["mystnb"] == {"image": {"alt": ALT}}
    assert page.cells[3].outputs[1].data == {"text/plain": "done"}
    assert page.metadata.ml4ops.run == {"key": "k", "seconds": 2.0, "record": record}
    assert page.cells[2].metadata.tags == ["setup", "hide-input"]
    assert "papermill" not in page.metadata
    assert errors == ""
    assert source.cells[2].metadata.tags == ["setup"]
    nbformat.validate(page)


def test_standard_error_stays_off_the_page(source):
    streams = [nbformat.v4.new_output("stream", name=n, text=f"{n}\n") for n in ("stderr", "stdout", "stderr")]
    page, errors = publish(source, executed(source, streams, []), {})
    assert [o.name for o in page.cells[2].outputs] == ["stdout"]
    assert errors == "stderr\nstderr\n"


def test_a_page_is_the_same_where_progress_bars_are_widgets(source):
    bar = output(**{WIDGET_MIME: {"model_id": "1"}, "text/plain": "epoch 1:   0%|          |"})
    page, _ = publish(source, executed(source, [bar, output(**{"text/plain": "done"})], [bar]), {})
    assert [o.data for cell in page.cells[2:4] for o in cell.outputs] == [{"text/plain": "done"}]


def test_a_page_ends_with_what_its_outputs_were_made_from(source):
    run = {"seconds": 61.2, "parameters": {"profile": "smoke", "seed": 3}}
    run["provenance"] = {"commit": "1a2b3c with local changes", "lock": "4d5e", "processor": "Abacus 3"}
    record = output(**{RECORD_MIME: {"data": "6f7a", "metrics": {}}})
    page, _ = publish(source, executed(source, [], [record]), run)
    assert [c.id for c in page.cells[:-1]] == [c.id for c in source.cells]
    for row in ("commit | 1a2b3c with local changes", "hash of the data | 6f7a", "seed | 3", "duration | 61 s"):
        assert f"| {row} |" in page.cells[-1].source
    source.cells[0].source = "# New words"
    again, _ = publish(source, page, dict(page.metadata.ml4ops.run))
    assert again.cells[0].source == "# New words"
    assert again.cells[1:] == page.cells[1:]  # the box still speaks of the run that made the outputs
    nbformat.validate(again)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ([output(**{"image/png": "iVBORw0KGgo="})], r"cell 4 shows a figure without alt text; .*lesson\.figure"),
        ([output(**{"image/png": "iVBORw0KGgo="}, alt=ALT)] * 2, "cell 4 shows 2 figures"),
    ],
)
def test_each_figure_needs_its_alt_text(source, figures, message):
    with pytest.raises(PageError, match=message):
        publish(source, executed(source, [], figures), {})


def test_another_number_of_cells_is_no_run_of_this_page(source):
    done = executed(source, [], [])
    source.cells.pop()
    with pytest.raises(PageError, match="3 code cells were run, the page has 2"):
        publish(source, done, {})


def test_writing_is_whole_or_not_at_all(source, tmp_path):
    path = tmp_path / "out" / "01_a.ipynb"
    write_notebook(source, path)
    before = path.stat().st_mtime_ns
    write_notebook(source, path)
    assert path.stat().st_mtime_ns == before
    source.cells.pop()
    write_notebook(source, path)
    assert len(nbformat.read(path, as_version=4).cells) == 3
    assert [p.name for p in path.parent.iterdir()] == ["01_a.ipynb"]
    path.write_bytes(b"caf\xe9")  # damaged
    write_notebook(source, path)
    assert len(nbformat.read(path, as_version=4).cells) == 3


def test_nothing_is_left_of_a_file_that_finds_no_room(tmp_path, monkeypatch):
    def fill(path, *arguments, **options):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OSError, match="No space left"):
        replace_text(tmp_path / "a.txt", "water")
    assert list(tmp_path.iterdir()) == []
