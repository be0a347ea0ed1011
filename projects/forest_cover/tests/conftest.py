"""What several test files share."""

import pytest
from samples import write_project


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return root / "data" / "tensors"
