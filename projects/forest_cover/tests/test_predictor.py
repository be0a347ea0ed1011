import json
import random
import shutil
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from samples import quick, raw_rows, write_project

from forest_cover.columns import FEATURES, LABELS, QUANTITIES, SOIL, TARGET, WILDERNESS
from forest_cover.dataset import load_dataset
from forest_cover.files import write_json
from forest_cover.fit import predict
from forest_cover.predictor import PACKAGE, Predictor, PredictorError
from forest_cover.stages.package import package
from forest_cover.stages.train import train_model
from forest_cover.store import WEIGHTS, load_model

ROWS = raw_rows(60, seed=1).drop(columns=TARGET)


def make_package(root, drop=()):
    parts = write_project(root, drop)
    train_model(quick(), root / "data" / "tensors", root / "models")
    write_json({"macro_f1": 0.5}, root / "metrics.json")
    return parts, package(root / "models", root / "models" / "scaling.json", root / "metrics.json", root / "package")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def made(root):
    return make_package(root)


@pytest.fixture(scope="module")
def predictor(made):
    return made[1]


def refused(predictor, rows):
    """The one line that a table is refused with."""
    with pytest.raises(PredictorError) as caught:
        predictor.predict(rows)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


# What comes out


def test_the_same_as_the_network_on_the_tensors_of_the_pipeline(root, made):
    parts, predictor = made
    network, _ = load_model(root / "models")
    expected = predict(network, load_dataset(root / "data" / "tensors", "val").features)
    found = predictor.predict(parts["val"].drop(columns=TARGET))
    assert (found.filter(like="probability_").to_numpy() == expected).all()
    assert found.index.equals(parts["val"].index)
    assert found["cover_type"].tolist() == (expected.argmax(axis=1) + 1).tolist()


def test_a_table_has_type_name_and_probabilities(predictor):
    found = predictor.predict(ROWS)
    assert list(found) == ["cover_type", "name", *(f"probability_{code}" for code in range(1, 8))]
    assert [LABELS[code - 1] for code in found["cover_type"]] == found["name"].tolist()
    np.testing.assert_allclose(found.filter(like="probability_").sum(axis=1), 1, rtol=1e-6)


def test_one_row_is_as_in_the_table(predictor):
    found, table = predictor.predict_row(ROWS.iloc[3].to_dict()), predictor.predict(ROWS)
    assert (found["cover_type"], found["name"]) == (table.loc[3, "cover_type"], table.loc[3, "name"])
    np.testing.assert_allclose(list(found["probabilities"].values()), table.filter(like="prob").loc[3], atol=1e-6)
    assert list(found["probabilities"]) == list(LABELS)


def test_rows_as_mappings_are_as_in_a_table(predictor):
    pd.testing.assert_frame_equal(predictor.predict(ROWS.to_dict("records")), predictor.predict(ROWS))


def test_the_order_of_columns_does_not_matter(predictor):
    shuffled = random.Random(0).sample(FEATURES, len(FEATURES))
    pd.testing.assert_frame_equal(predictor.predict(ROWS[shuffled]), predictor.predict(ROWS))


@pytest.mark.parametrize("kind", ["int64", "float32", "Int32", "Float64", "object", "int16"])
def test_numbers_of_any_type_are_numbers(predictor, kind):
    whole = ROWS.round().astype("int64")
    pd.testing.assert_frame_equal(predictor.predict(whole.astype(kind)), predictor.predict(whole))


def test_one_hot_columns_may_be_truth_values(predictor):
    flags = ROWS.astype(dict.fromkeys((*WILDERNESS, *SOIL), bool))
    pd.testing.assert_frame_equal(predictor.predict(flags), predictor.predict(ROWS))


def test_the_index_is_kept_whatever_it_is(predictor):
    table = ROWS.iloc[:3].set_axis(["a", "a", "b"])
    assert predictor.predict(table).index.tolist() == ["a", "a", "b"]
    assert "row 'b'" in refused(predictor, table.assign(Slope=[1, 2, 95]))


def test_what_is_handed_in_is_not_changed(predictor):
    table = ROWS.copy()
    predictor.predict(table)
    pd.testing.assert_frame_equal(table, ROWS)


def test_columns_that_the_training_dropped_may_be_there_or_not(tmp_path):
    drop = ("Hillshade_Noon", "Soil_Type7", "Soil_Type15")
    _, predictor = make_package(tmp_path, drop)
    given_all = predictor.predict(ROWS.assign(Hillshade_Noon=-99))
    pd.testing.assert_frame_equal(given_all, predictor.predict(ROWS.drop(columns=list(drop))))
    none_set = ROWS.assign(**dict.fromkeys(SOIL, 0.0))  # the row's soil is one of those dropped
    predictor.predict(none_set)
    assert "expected at most one" in refused(predictor, none_set.assign(Soil_Type1=1, Soil_Type2=1))


# What is refused


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("Elevation", 8520.0, "1500 to 4400 m; if it is in feet, use 2596.9"),
        ("Elevation", 2.596, "if it is in km, use 2596"),
        ("Elevation", 0, "0 is outside 1500 to 4400 m"),
        ("Aspect", -1, "0 to 360 degrees"),
        ("Slope", 90.5, "90.5 is outside 0 to 90"),
        ("Hillshade_9am", 256, "0 to 255"),
        ("Slope", float("inf"), "inf is outside"),
        ("Slope", 10**400, "1000"),
        *[("Slope", missing, "no value") for missing in (float("nan"), None, pd.NA, pd.NaT)],
        *[("Slope", text, "not a number") for text in ("12", "", b"3", "x" * 10_000)],
        *[("Slope", other, "not a number") for other in ([12], {"a": 1}, 1 + 2j, Decimal("3"), np.array([1, 2]))],
        ("Slope", datetime(2020, 1, 1), "not a number"),
        ("Soil_Type1", 0.5, "0.5 is neither 0 nor 1"),
        ("Soil_Type1", -1, "-1 is neither 0 nor 1"),
        ("Soil_Type1", "yes", "'yes' is not a number"),
    ],
)
def test_a_wrong_value_is_named_with_column_and_row(predictor, column, value, named):
    table = ROWS.astype({column: object})
    table.at[4, column] = value
    for rows in (table, table.to_dict("records")):
        message = refused(predictor, rows)
        assert message.startswith(f"{column}, row 4: ")
        assert named in message
    with pytest.raises(PredictorError, match=f"{column}, row 0: "):
        predictor.predict_row(table.loc[4].to_dict())


@pytest.mark.parametrize(("group", "name"), [(WILDERNESS, "Wilderness_Area"), (SOIL, "Soil_Type")])
@pytest.mark.parametrize("number", [0, 2])
def test_exactly_one_of_a_group_is_set(predictor, group, name, number):
    table = ROWS.copy()
    table.loc[7, list(group)] = 0
    table.loc[7, list(group[:number])] = 1
    message = refused(predictor, table)
    assert f"{name}1 to {name}{len(group)}, row 7: {number} of them are 1" in message


def test_two_swapped_columns_without_names_of_their_own_are_seen(predictor):
    assert "Elevation" in refused(predictor, ROWS.rename(columns={"Elevation": "Slope", "Slope": "Elevation"}))


@pytest.mark.parametrize("kind", ["category", "string", "complex128", "datetime64[ns]", "timedelta64[ns]"])
def test_a_column_of_another_type_is_refused_or_read_right(predictor, kind):
    table = ROWS.round()
    table["Slope"] = table["Slope"].astype("int64").astype(kind)
    if kind == "category":  # of numbers: these are numbers still
        pd.testing.assert_frame_equal(predictor.predict(table), predictor.predict(ROWS.round()))
    else:
        assert "Slope, row 0: " in refused(predictor, table)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.drop(columns="Slope"), "missing: Slope"),
        (ROWS[["Slope"]], "missing: Elevation, Aspect, Horizontal_Distance_To_Hydrology and 50 more"),
        (ROWS.rename(columns={"Slope": "slope"}), "missing: Slope"),
        (ROWS.assign(Id=1), "unknown to the model: 'Id'"),
        (ROWS.assign(Cover_Type=8), "unknown to the model: 'Cover_Type'"),
        (ROWS.rename(columns={"Slope": 3}), "missing: Slope"),
        (ROWS.assign(**{"Slope ": 3}), "unknown to the model: 'Slope '"),
        (pd.concat([ROWS, ROWS["Slope"]], axis=1), "duplicate: Slope"),
        (ROWS.set_axis(pd.MultiIndex.from_product([["a"], FEATURES]), axis=1), "missing"),
        (ROWS.iloc[:0], "no row"),
        (pd.DataFrame(), "missing"),
        ([], "missing"),
        ([{}], "missing"),
        ([{pd.NA: None}], "missing"),
        ([ROWS.iloc[0].to_dict() | {pd.NA: 3}], "unknown to the model: <NA>"),
        (ROWS.to_numpy(), "ndarray"),
        (ROWS.iloc[0].to_dict(), "dict"),
        (ROWS["Slope"], "Series"),
        ("data.csv", "str"),
        (None, "NoneType"),
        (7, "int"),
        ([1, 2], "row 0 is int"),
        ([ROWS.iloc[0].to_dict(), None], "row 1 is NoneType"),
        ([ROWS.iloc[0].to_dict(), {"Slope": 3}], "Elevation, row 1: no value"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(predictor, rows, message):
    assert message in refused(predictor, rows)


@pytest.mark.parametrize("row", [None, 3, [1, 2], "row", {}, {"Slope": 3}, ROWS])
def test_a_wrong_row_is_refused_in_one_line(predictor, row):
    with pytest.raises(PredictorError):
        predictor.predict_row(row)


def test_only_what_is_wrong_is_refused(predictor):
    edges = {q.name: [q.low, q.high] for q in QUANTITIES}
    table = pd.concat([ROWS.iloc[:2]]).assign(**edges)
    assert len(predictor.predict(table)) == 2


STRANGE = [pd.NA, pd.NaT, np.float32("nan"), np.int8(3), object()]
ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.decimals(), st.fractions()),
    *(st.text(max_size=5), st.binary(max_size=3), st.dates(), st.tuples(), st.sampled_from(STRANGE)),
    *(st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)),
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from([*FEATURES, "Id", "", "slope"]), ANYTHING, max_size=4), st.booleans())
def test_whatever_a_row_holds_it_is_answered_or_refused_clearly(predictor, changes, as_table):
    row = ROWS.iloc[0].to_dict() | changes
    rows = pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in row.items()}) if as_table else [row]
    try:
        found = predictor.predict(rows)
    except PredictorError as problem:
        message = str(problem)
    else:
        message = ""
        assert found.filter(like="probability_").to_numpy().sum() == pytest.approx(1)
    assert len(message.splitlines()) == bool(message)
    assert changes or not message


def can_be_a_key(value):
    try:
        hash(value)
    except TypeError:  # lists and dictionaries, and a signalling NaN
        return False
    return True


TABLES = st.one_of(
    ANYTHING,
    st.lists(ANYTHING, max_size=3),
    st.lists(st.dictionaries(st.one_of(st.sampled_from(FEATURES), ANYTHING.filter(can_be_a_key)), ANYTHING)),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(TABLES)
def test_whatever_a_table_is_it_is_refused_clearly(predictor, rows):
    with pytest.raises(PredictorError):
        predictor.predict(rows)


# Packages


def change(**values):
    def apply(folder):
        about = json.loads((folder / PACKAGE).read_text())
        (folder / PACKAGE).write_text(json.dumps(about | values))

    return apply


def change_scaling(**values):
    def apply(folder):
        about = json.loads((folder / PACKAGE).read_text())
        change(scaling=about["scaling"] | values)(folder)

    return apply


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def eighth_class(folder):
    weights = load_file(folder / WEIGHTS)
    last = [name for name, value in weights.items() if value.shape[0] == 7]
    save_file({n: torch.cat([v, v[:1]]) if n in last else v for n, v in weights.items()}, folder / WEIGHTS)
    rehash(folder)


def rehash(folder):
    from hashlib import sha256

    change(weights=sha256((folder / WEIGHTS).read_bytes()).hexdigest())(folder)


def cut(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-40])


def flip(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 255
    (folder / WEIGHTS).write_bytes(content)


MODEL = {"name": "mlp", "width": 16, "depth": 1, "dropout": 0.1, "bins": 8}
DAMAGES = {
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "model.safetensors is not there"),
    "no json": (lambda folder: (folder / PACKAGE).unlink(), "package.json is not there"),
    "no folder": (shutil.rmtree, "package.json is not there"),
    "a folder for a file": (
        lambda folder: ((folder / PACKAGE).unlink(), (folder / PACKAGE).mkdir()),
        "can't be read",
    ),
    "no json inside": (write(PACKAGE, b"{half"), "can't be read as JSON"),
    "no text inside": (write(PACKAGE, b"\xff\xfe\x00"), "can't be read as JSON"),
    "a list": (write(PACKAGE, b"[1]"), "not as a training writes it"),
    "null": (write(PACKAGE, b"null"), "not as a training writes it"),
    "empty": (write(PACKAGE, b"{}"), "not as a training writes it"),
    "weights are text": (write(WEIGHTS, b"weights"), "damaged or not a safetensors"),
    "weights are empty": (write(WEIGHTS, b""), "damaged or not a safetensors"),
    "weights are cut": (cut, "damaged or not a safetensors"),
    "one bit": (flip, "is not the file that package.json was written with"),
    "an eighth label": (change(classes=[*LABELS, "larch"]), "expected the 7 of the data set"),
    "labels in another order": (change(classes=[*LABELS[::-1]]), "expected the 7 of the data set"),
    "an eighth class": (eighth_class, r"(?:\.weight|\.bias) is torch\.float32 \(8"),
    "another width": (change(model=MODEL | {"width": 17}), "the weights are of another network"),
    "no such network": (change(model=MODEL | {"name": "forest"}), "model.name"),
    "a width that no machine has": (change(model=MODEL | {"width": 10**12}), "model.width"),
    "a width of text": (change(model=MODEL | {"width": "wide"}), "model.width"),
    "model is text": (change(model="mlp"), "model"),
    "another setting": (change(model=MODEL | {"heads": 3}), "heads"),
    "a column less": (change(columns=list(FEATURES[1:])), "the weights are of another network"),
    "unknown column": (change(columns=["Height", *FEATURES[1:]]), "not those of the data set"),
    "columns are numbers": (change(columns=[1, 2]), "not those of the data set"),
    "columns are lists": (change(columns=[[1]]), "not those of the data set"),
    "a column twice": (change(columns=[FEATURES[1], *FEATURES[1:]]), "54 columns"),
    "no ranges": (change(ranges={}), "ranges"),
    "ranges are text": (change(ranges={"Slope": "0 to 90"}), "ranges"),
    "scaling of too few": (change_scaling(means=[0.0]), "one mean"),
    "a deviation of 0": (change_scaling(deviations=[0.0] * 10), "deviations above 0"),
    "a mean of text": (change_scaling(means=["a"] * 10), "scaling.means"),
    "a mean that is none": (change_scaling(means=[float("nan")] * 10), "finite"),
    "scaling of other columns": (change_scaling(columns=list("abcdefghij")), "its columns"),
    "no scaling": (change(scaling=None), "scaling"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_package_is_refused_in_one_line(made, root, tmp_path, name):
    damage, message = DAMAGES[name]
    folder = tmp_path / "package"
    shutil.copytree(root / "package", folder)
    damage(folder)
    with pytest.raises(PredictorError, match=message) as caught:
        Predictor.load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_package_works_wherever_it_is_moved(made, root, tmp_path):
    shutil.copytree(root / "package", tmp_path / "elsewhere")
    moved = Predictor.load(str(tmp_path / "elsewhere"))
    pd.testing.assert_frame_equal(moved.predict(ROWS), made[1].predict(ROWS))
    assert moved.about["scores"] == {"macro_f1": 0.5}
