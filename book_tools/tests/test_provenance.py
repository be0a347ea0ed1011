"""What a page says about where its outputs come from."""

import subprocess

from book_tools.provenance import commit, run_provenance


def git(*arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_is_that_of_the_working_folder_and_shows_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"
    git("init", "-q")
    (tmp_path / "a.py").write_text("x = 1")
    git("add", "a.py")
    git("commit", "-q", "-m", "a")
    git("tag", "-a", "v1", "-m", "a tag is no commit")
    head = git("rev-parse", "HEAD")[:12]
    assert commit() == head
    (tmp_path / "a.py").write_text("x = 2")
    assert commit() == f"{head} with local changes"


def test_the_lock_is_identified_by_its_hash(tmp_path):
    lock = tmp_path / "requirements.lock"
    assert run_provenance(lock)["lock"] == "none"
    lock.write_text("numpy==2.4")
    first = run_provenance(lock)
    assert len(first["lock"]) == 12
    assert first["processor"]
    lock.write_text("numpy==2.5")
    assert run_provenance(lock)["lock"] != first["lock"]
