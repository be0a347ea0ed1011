"""A wrong value is found before anything is computed, and told in one line."""

import os
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from forest_cover import configure
from forest_cover.config import Config, ConfigError, as_dict, check_config, load_config
from forest_cover.settings import CHOICES, LIMITS

ROOT = Path(__file__).parent.parent
WRONG = {
    "data.rowz=1": r"data\.rowz=1: no such setting; perhaps rows is meant; set it in conf/data/",
    "data.rows=many": r"data\.rows=many: must be a whole number",
    "data.rows=2.5": "data.rows=2.5: must be a whole number",
    "data.rows=null": "data.rows=None: must be a whole number",
    "data.rows=???": r"data.rows=\?\?\?: must be given",
    "data.rows=${nothing}": "Interpolation key 'nothing' not found",
    "data=3": "data=3: must be a group of settings",
    "xyz=1": "xyz=1: no such setting; known are data, resources",
    "data.source=web": "data.source=web: must be one of embedded, kaggle, covtype",
    "data.source=kaggle": "data.file='': the source kaggle needs the path",
    "data.val=1": "data.val=1.0: must be 0.01 to 0.9",
    "data.test=0.85": r"data.val=0.15: with data.test=0.85 no row is left",
    "data.drop=[Elevaton]": "Elevaton is no column; perhaps Elevation is meant",
    "training.learning_rate=nan": "training.learning_rate=nan: must be 1e-08 to 10",
    "training.learning_rate=0": "training.learning_rate=0.0: must be",
    "training.learning_curve=[0.5,1]": "training.learning_curve=1.0: must be 0.001 to 0.999",
    "training.learning_curve=[a]": r"learning_curve\[0\]=a: must be a list of numbers",
    "training.callbacks=plots": "training.callbacks=plots: must be a list of texts",
    "model.name=tree": "model.name=tree: must be one of logistic, mlp, residual",
    "search.storage=mysql://x": "search.storage=mysql://x: must be sqlite:///",
    "search.space={}": "search.space={}: empty",
    "search.space={data.cap:{choices:[1]}}": "only settings of training, model, resources can be searched",
    "search.space={model.wide:{choices:[1]}}": "only settings of",
    "search.space={model.width:{choices:[]}}": "must be {choices",
    "search.space={model.width:{low:3,high:2}}": "must be {choices",
    "search.space={model.width:{low:0,high:2,log:true}}": "0 < a with log",
    "search.space={model.width:5}": "must be names with {low, high} or {choices}",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_value_is_named(override: str) -> None:
    key, _, value = override.partition("=")
    given = OmegaConf.create()
    OmegaConf.update(given, key, yaml.safe_load(value))
    with pytest.raises(ConfigError, match=WRONG[override]) as caught:
        check_config(given)
    assert "\n" not in str(caught.value)
    assert "set it in conf/" in str(caught.value)


def test_the_file_that_sets_a_value_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "huge.yaml").write_text("width: 99999999\n")
    with pytest.raises(ConfigError, match=r"set it in conf/model/huge\.yaml"):
        check_config(OmegaConf.create({"model": {"width": 99999999}}))


@given(
    st.sampled_from(sorted(LIMITS)),
    st.floats(allow_nan=True) | st.integers() | st.text() | st.none() | st.lists(st.floats()),
)
def test_no_value_brings_a_library_s_error(key: str, value: object) -> None:
    given = OmegaConf.create()
    OmegaConf.update(given, key, value)
    try:
        check_config(given)
    except ConfigError as problem:
        assert key.split(".")[0] in str(problem)  # noqa: PT017  (some values can be used)


def test_limits_and_choices_name_settings() -> None:
    known = {f"{group}.{name}" for group, values in asdict(Config()).items() if group != "out" for name in values}
    assert known >= {*LIMITS, *CHOICES}
    for group, values in asdict(Config()).items():
        for name, value in values.items() if group != "out" else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert f"{group}.{name}" in LIMITS


def test_every_setting_is_described() -> None:
    for group in fields(Config):
        kind = type(getattr(Config(), group.name))
        for setting in fields(kind) if group.name != "out" else ():
            assert f"        {setting.name}: " in str(kind.__doc__)


def test_defaults_are_those_of_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert as_dict(Config()) == OmegaConf.to_container(configure.compose_conf())


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
    ("override", "told"),
    [
        ("data=kagle", "Could not find 'data/kagle' Available options in 'data': covtype embedded kaggle"),
        ("training.sed=1", "training.sed=1: no such setting; perhaps seed is meant; set it in conf/training/"),
        ("training.seed", "missing EQUAL"),
        ("training.seed=[", "no viable alternative"),
        ("training.seed=x", "training.seed=x: must be a whole number"),
    ],
)
def test_a_wrong_override_is_told_in_one_line(conf: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure.main([override])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"), [(None, "not found"), ("a: [", "can't be read"), ("- a", "holds no settings"), ("", "")]
)
def test_a_missing_or_broken_params_file(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    if content == "":
        assert load_config(path) == Config()
        return
    with pytest.raises(ConfigError, match=told) as caught:
        load_config(path)
    assert "python -m forest_cover.configure" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_says_it_without_a_traceback(conf: Path) -> None:
    command = [sys.executable, "-m", "forest_cover.configure", "data.val=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=conf, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data.val=2")
    assert "Traceback" not in done.stderr
