"""A wrong value is found before anything is computed, and reported in one line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from forest_cover import config as settings
from forest_cover import configure
from forest_cover.config import Config, ConfigError, check_config, load_config

ROOT = Path(__file__).parent.parent
WRONG = {  # what a line must name beside the setting
    "data.rowz=1": "did you mean rows",
    "xyz=1": "known: data, resources",
    "data=3": "dictionary",
    "data.rows=many": "integer",
    "data.rows=2.5": "integer",
    "data.rows=true": "integer",
    "data.rows=null": "integer",
    "data.rows=???": "mandatory",
    "data.rows=${nothing}": "'nothing' not found",
    "data.source=web": "'embedded', 'kaggle' or 'covtype'",
    "data.val=1": r"less than or equal to 0\.9",
    "data.test=0.85": r"with data\.val=0\.15 no row is left",
    "data.drop=[Elevaton]": "did you mean Elevation",
    f"data.drop={[*settings.FEATURES]}": "one column must stay",
    "training.learning_rate=.nan": "equal to 10",
    "training.learning_rate=0": "greater than or equal to",
    "training.learning_curve=[0.5,1]": r"equal to 0\.999",
    "training.learning_curve=[a]": "number",
    "training.callbacks=plots": "list",
    "model.name=tree": "'logistic', 'mlp' or 'residual'",
    "search.storage=mysql://x": "sqlite:///",
    "search.space={}": "at least 1",
    "search.space={data.cap: {choices: [1]}}": "only settings of training, model, resources",
    "search.space={model.wide: {choices: [1]}}": "only settings of",
    "search.space={model.width: {choices: []}}": "{choices",
    "search.space={model.width: {low: 3, high: 2}}": "low: a",
    "search.space={model.width: {low: a, high: 2}}": "low: a",
    "search.space={model.width: {low: 0, high: 2, log: true}}": "0 < a with log",
    "search.space={model.width: 5}": "dictionary",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_value_is_named(override: str) -> None:
    key, _, value = override.partition("=")
    given = OmegaConf.create()
    OmegaConf.update(given, key, yaml.safe_load(value))
    with pytest.raises(ConfigError, match=f"^{key}.*{WRONG[override]}.*; set it in conf/") as caught:
        check_config(given)
    assert "\n" not in str(caught.value)


def test_each_of_several_mistakes_has_a_line() -> None:
    with pytest.raises(ConfigError, match=r"^data\.val=2: .*\nmodel\.heads=3: ") as caught:
        check_config({"data": {"val": 2}, "model": {"heads": 3}})
    assert len(str(caught.value).splitlines()) == 2


def test_the_file_that_sets_a_value_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "huge.yaml").write_text("width: 99999999\n")
    with pytest.raises(ConfigError, match=r"conf/model/huge\.yaml"):
        check_config({"model": {"width": 99999999}})


GROUPS = [name for name in Config.model_fields if name != "out"]
NAMES = [f"{group}.{name}" for group in GROUPS for name in settings._names(group)]


@given(
    st.sampled_from([*GROUPS, *NAMES]),
    st.floats(allow_nan=True) | st.integers() | st.text() | st.none() | st.lists(st.floats()),
)
def test_no_value_brings_a_library_s_error(key: str, value: object) -> None:
    given = OmegaConf.create()
    OmegaConf.update(given, key, value)
    try:
        check_config(given)
    except ConfigError as problem:
        assert str(problem).startswith(key)  # noqa: PT017  (some values can be used)


def test_every_number_has_limits_and_every_setting_is_described() -> None:
    source = Path(settings.__file__).read_text()
    for name in NAMES:
        [*_, line] = re.findall(rf"    {name.split('.')[1]}: .*", source)
        assert "  # " in line
    for group in Config.model_json_schema()["$defs"].values():
        for rule in (value.get("items", value) for value in group["properties"].values()):
            limits = {"minimum", "maximum", "exclusiveMaximum"} & {*rule}
            assert len(limits) == (2 if rule.get("type") in ("integer", "number") else 0)


def test_defaults_are_those_of_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert Config().model_dump() == OmegaConf.to_container(configure.compose_conf())


def test_every_file_of_conf_composes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    groups = [path for path in (ROOT / "conf").glob("*/*.yaml") if path.parent.name != "experiment"]
    assert len(groups) >= 10
    for path in groups:
        configure.compose_conf([f"{path.parent.name}={path.stem}"])


def test_params_are_what_conf_composes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    configure.check_params()
    assert load_config() == check_config(configure.compose_conf())


def test_a_group_chosen_as_a_value_is_answered_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=r"^model='residual': .*forest_cover\.configure model=residual; set it in"):
        check_config({"model": "residual"})


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's conf/."""
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_configure_writes_and_checks(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure.main(["model=residual", "training.seed=7"])
    assert (conf / "params.yaml").read_text().startswith("# Written by `python -m forest_cover.configure`")
    found = load_config()
    assert (found.model.name, found.training.seed) == ("residual", 7)
    configure.main(["model=residual", "training.seed=7", "--check"])
    with pytest.raises(ConfigError, match=r"training\.seed=7 \(conf/: 0\)"):
        configure.main(["--check"])
    before = (conf / "params.yaml").read_bytes()
    configure.main(["--show", "training.seed=8"])
    assert "seed: 8" in capsys.readouterr().out
    with pytest.raises(ConfigError):
        configure.main(["training.seed=-1"])
    assert (conf / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("data=kagle", "'data': covtype embedded kaggle"),
        ("training.sed=1", "training.sed=1: .*did you mean seed"),
        ("modle=mlp", "^modle='mlp': .*did you mean model"),
        ("experiment=best", r"\+experiment=best"),
        ("training.seed", "^training.seed: no value; type training.seed=…$"),
        ("training.seed=[", """^training.seed=.: not one value; .*'training.seed="."'"""),
        ("data.file=a/epoch=3.csv", """quote it: 'data.file="a/epoch=3.csv"'"""),
        ("data.file=daten/wälder.csv", """quote it: 'data.file="daten/wälder.csv"'"""),
        ("data.file=a,b.csv", """quote it: 'data.file="a,b.csv"'"""),
        ("data.file=a b (1).csv", """quote it: 'data.file="a b .1..csv"'"""),
        ("training.learning_rate=1e-3,1e-2", r"a list: training.learning_rate=\[a,b\]"),
        ("training.seed=x", "training.seed='x': .*integer"),
    ],
)
def test_a_wrong_override_is_reported_in_one_line(conf: Path, override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        configure.main([override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a/epoch=3.csv", "daten/wälder.csv", "a,b.csv", "a b (1).csv", "[1].csv", "{}", "2023-09-16", "007"]
)
def test_a_quoted_text_is_taken_as_written(conf: Path, name: str) -> None:
    assert configure.compose_conf([f'data.file="{name}"']).data.file == name


@pytest.mark.parametrize(
    ("content", "named"), [(None, "not found"), ("a: [", "can't be read"), ("- a", "holds no settings")]
)
def test_a_missing_or_broken_params_file(tmp_path: Path, content: str | None, named: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"{named}.*python -m forest_cover.configure") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_the_command_says_it_without_a_traceback(conf: Path) -> None:
    command = [sys.executable, "-m", "forest_cover.configure", "data.val=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=conf, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data.val=2")
    assert "Traceback" not in done.stderr
