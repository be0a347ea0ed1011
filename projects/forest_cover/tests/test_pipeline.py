"""The pipeline as DVC runs it: what runs again and what does not, versions of the data, a colleague's clone."""

import ast
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
import yaml
from dvc.repo import Repo

from forest_cover.dag import layout, stages

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
NO_RESULT = {"config", "configure", "logs"}
MADE = {"data", "models", "package", "reports", "runs", "sweeps", "dvc.lock", ".venv", "mlflow.db", "studies.db"}
ENVIRONMENT = {
    **os.environ,
    **{f"GIT_{who}_{what}": "x@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "OMP_NUM_THREADS": "1",
}
TRAINING = ["train", "evaluate", "package"]
FROM_SPLIT = ["split", "normalise", "cap", "tensors", *TRAINING]
ALL = ["fetch", "validate", "explore", "drop", *FROM_SPLIT]
RERUN = [
    ("data", "rows", 1600, ALL),
    ("data", "drop", ["Aspect"], ["drop", *FROM_SPLIT]),
    ("data", "val", 0.2, FROM_SPLIT),
    ("data", "scaling", "none", ["normalise", "cap", "tensors", *TRAINING]),
    ("data", "cap", 300, ["cap", "tensors", *TRAINING]),
    ("training", "learning_rate", 0.5, TRAINING),
    ("model", "width", 33, TRAINING),
    ("resources", "epochs", 4, TRAINING),
    ("training", "tracking", "sqlite:///other.db", TRAINING),
    ("training", "learning_curve", [0.4], ["evaluate", "package"]),
    ("search", "trials", 3, []),
]


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def left_out(parent: str, names: list[str]) -> set[str]:
    """What runs and tools made."""
    made = MADE if Path(parent) == ROOT else {"cache", "tmp"} if Path(parent) == ROOT / ".dvc" else set()
    return {name for name in names if name in made or name.endswith("_cache")}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with few rows and epochs in a repository of its own, before any run."""
    folder = tmp_path_factory.mktemp("team") / "project"
    shutil.copytree(ROOT, folder, ignore=left_out)
    replace(folder / "conf" / "config.yaml", "resources: cpu", "resources: smoke")
    replace(folder / "conf" / "data" / "embedded.yaml", f"rows: {PARAMS['data']['rows']}", "rows: 1500")
    run(folder, sys.executable, "-m", "forest_cover.configure", "training.learning_curve=[0.5]")
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message=begin")
    return folder


@pytest.fixture(scope="module")
def project(copy: Path) -> Path:
    """The same after a whole run, committed as v1."""
    assert ran(run(copy, "dvc", "repro")) == ALL
    run(copy, "git", "add", "--all")
    run(copy, "git", "commit", "--quiet", "--message=first run")
    run(copy, "git", "tag", "v1")
    return copy


def imports(module: str, seen: set[str]) -> set[str]:
    """Modules of the project that a module comes to, itself among them."""
    path = ROOT / "forest_cover" / f"{module.replace('.', '/')}.py"
    if module in seen or not path.exists():
        return seen
    seen.add(module)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "forest_cover":
            seen = seen.union(*(imports(alias.name, seen) for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("forest_cover."):
            seen = imports(str(node.module).removeprefix("forest_cover."), seen)
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_modules_it_uses(stage: str) -> None:
    wanted = {f"forest_cover/{name.replace('.', '/')}.py" for name in imports(f"stages.{stage}", set()) - NO_RESULT}
    assert {name for name in STAGES[stage]["deps"] if name.endswith(".py")} == wanted


def test_each_value_that_decides_a_result_is_of_a_stage() -> None:
    watched = {name for stage in STAGES.values() for name in stage.get("params", [])}
    for group in ("data", "training", "model", "resources"):
        assert group in watched or {f"{group}.{name}" for name in PARAMS[group]} <= watched
    assert {name.split(".")[0] for name in watched} == {"data", "training", "model", "resources"}


def test_only_the_evaluation_names_the_test_tensors() -> None:
    reads = {name for name, stage in STAGES.items() if {"data/tensors", "data/tensors/test.pt"} & {*stage["deps"]}}
    assert reads == {"evaluate"}


def test_the_picture_has_each_stage_below_those_it_needs() -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")])
    places = layout(graph)
    assert len({*places.values()}) == 4
    assert all(places[source][1] > places[target][1] for source, target in graph.edges)


@pytest.mark.slow
def test_nothing_runs_twice(project: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran(run(project, "dvc", "repro")) == []
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    assert run(project, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_one_value_runs_its_stage_and_what_follows(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", ENVIRONMENT["PATH"])
    monkeypatch.chdir(project)
    graph, path = stages(), Path("params.yaml")
    assert sorted(graph) == sorted(ALL)
    kept = path.read_text()
    for group, name, value, expected in RERUN:
        params = yaml.safe_load(kept)
        params[group][name] = value
        path.write_text(yaml.safe_dump(params))
        changed = Repo().status()
        path.write_text(kept)
        follow = [stage for stage in ALL if stage in changed or any(stage in nx.descendants(graph, c) for c in changed)]
        assert follow == expected, f"{group}.{name}"


@pytest.mark.slow
def test_an_experiment_changes_one_value_and_keeps_what_was_chosen(project: Path) -> None:
    chosen = ["model=logistic", "training.seed=7", "training.learning_curve=[0.5]"]
    run(project, sys.executable, "-m", "forest_cover.configure", *chosen)
    wanted = yaml.safe_load((project / "params.yaml").read_text())
    wanted["training"]["learning_rate"] = 3e-3
    output = run(project, "dvc", "exp", "run", "-S", "training.learning_rate=3e-3")
    assert ran(output) == TRAINING
    assert yaml.safe_load((project / "params.yaml").read_text()) == wanted
    assert "Experiment results have been applied" in output
    run(project, "git", "checkout", "--quiet", "--force", "v1")
    run(project, "dvc", "checkout")


@pytest.mark.slow
def test_a_pipeline_that_is_killed_goes_on_where_it_was(project: Path) -> None:
    run(project, sys.executable, "-m", "forest_cover.configure", "data.val=0.2", "training.learning_curve=[0.5]")
    command = {"args": ["dvc", "repro"], "cwd": project, "env": ENVIRONMENT, "text": True}
    with subprocess.Popen(**command, stdout=subprocess.PIPE, start_new_session=True) as process:  # type: ignore[call-overload]
        assert process.stdout
        began = (line for line in process.stdout if "Running stage" in line)
        assert ran(next(began) + next(began)) == ["split", "normalise"]
        os.killpg(process.pid, signal.SIGKILL)
    assert ran(run(project, "dvc", "repro")) == FROM_SPLIT[1:]
    assert run(project, "dvc", "status", "--json").strip() == "{}"
    run(project, "git", "checkout", "--quiet", "--force", "v1")
    run(project, "dvc", "checkout")


@pytest.mark.slow
def test_versions_of_the_data_and_a_clone(project: Path) -> None:
    first = (project / "data" / "columns.parquet").read_bytes()
    run(project, "dvc", "push")
    run(project, sys.executable, "-m", "forest_cover.configure", "data.rows=1800", "training.learning_curve=[0.5]")
    assert ran(run(project, "dvc", "repro", "drop")) == ["fetch", "validate", "drop"]
    assert (project / "data" / "columns.parquet").read_bytes() != first
    assert json.loads((project / "data" / "raw.json").read_text())["rows"] == 1800
    run(project, "git", "commit", "--quiet", "--all", "--message=more rows")
    run(project, "dvc", "push")

    run(project, "git", "checkout", "--quiet", "v1")
    run(project, "dvc", "checkout")
    assert (project / "data" / "columns.parquet").read_bytes() == first
    assert run(project, "dvc", "status", "--json").strip() == "{}"

    clone = project.parent / "clone"
    run(project.parent, "git", "clone", "--quiet", "--branch=v1", str(project), str(clone))
    run(clone, "dvc", "pull")
    assert (clone / "data" / "columns.parquet").read_bytes() == first
    assert run(clone, "dvc", "status", "--json").strip() == "{}"
