"""The page of operations is the code's."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_page_of_operations_is_up_to_date() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "localcloud", "operations"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout

    page = (ROOT / "docs" / "local-cloud-operations.md").read_text()
    assert page == printed, "write it anew: python -m localcloud operations > docs/local-cloud-operations.md"


def test_every_operation_says_what_it_does_and_is_one_of_aws() -> None:
    from localcloud import resources
    from localcloud.api import OPERATIONS
    from localcloud.api.shapes import service_model

    resources.load()
    names = set(service_model("sagemaker").operation_names)

    assert set(OPERATIONS) <= names
    assert [name for name, handler in OPERATIONS.items() if not handler.__doc__] == []
