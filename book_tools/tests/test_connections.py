"""Nothing leaves the machine: no command and no page opens a connection beyond it, whatever a library would report."""

import ipaddress
import json
import os
import subprocess
import sys

import pytest
from tiny_pages import write_page

RECORD = """
import json, os, sys

def record(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0] if "get" in event else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(json.dumps([event, repr(host) if isinstance(host, bytes) else host, sys.argv]) + "\\n")

sys.addaudithook(record)
"""
ML4OPS = [sys.executable, "-c", "import sys; from ml4ops_helpers.cli import main; sys.exit(main())"]
BOOK = [sys.executable, "-c", "import sys; from book_tools.commands import main; sys.exit(main())"]
PAGE = (
    "import subprocess, sys\n\nimport mlflow",
    "mlflow.set_tracking_uri('sqlite:///runs.db')\nwith mlflow.start_run():\n    mlflow.log_metric('loss', 1.0)",
    "done = subprocess.run([sys.executable, '-m', 'dvc', 'init', '--no-scm'], check=True, capture_output=True)",
)


@pytest.fixture
def connections(tmp_path, monkeypatch):
    """Record every address that Python asks for in processes started from now on; call it for those beyond loopback.

    The environment is a user's: a home of its own, no CI, which makes some libraries silent.
    """
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(RECORD)
    for name in ("HOME", "XDG_CONFIG_HOME", "ML4OPS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "guard"))
    monkeypatch.setenv("CONNECTIONS", str(tmp_path / "connections"))
    quiet = ("CI", "GITHUB_ACTIONS", "DO_NOT_TRACK", "DVC_NO_ANALYTICS", "DVC_TEST", "ITERATIVE_DO_NOT_TRACK")
    for name in (*quiet, "MLFLOW_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)

    def beyond():
        path = tmp_path / "connections"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [entry for entry in found if not is_local(entry[1])]

    return beyond


def is_local(host):
    """Whether an address is this machine: loopback, any interface to listen on, or a socket in the file system."""
    if host in (None, "", "localhost") or host.startswith(("/", "b'")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def call(*command, folder):
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def test_a_connection_is_seen(connections, tmp_path):
    ask = "import socket\n\ntry:\n    socket.getaddrinfo('host.invalid', 80)\nexcept OSError:\n    pass"
    call(sys.executable, "-c", ask, folder=tmp_path)
    assert [host for _, host, _ in connections()] == ["host.invalid"]


@pytest.mark.slow
def test_commands_and_pages_open_no_connection(connections, tmp_path):
    call(*ML4OPS, "--help", folder=tmp_path)
    call(*ML4OPS, "train", "--profile", "smoke", "--model", "linear", "--out", "linear.safetensors", folder=tmp_path)
    scene = next((tmp_path / "ML4OPS_CACHE").rglob("S2/*.tif"))  # simulated for the training
    call(*ML4OPS, "predict", str(scene), "--out", "maps", "--engine", "openvino", folder=tmp_path)
    write_page(tmp_path / "notebooks", "01_a", *PAGE)
    call(*BOOK, "run", folder=tmp_path)
    assert connections() == []
