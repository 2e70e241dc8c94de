"""docs/aws.md lists what was checked without an account: the list is made of the checks' own first lines."""

import ast
import os
import re
from pathlib import Path

from tests.workflow.application import ROOT

DOCUMENT = ROOT / "docs" / "aws.md"
START, END = "<!-- checks: begin -->", "<!-- checks: end -->"
# What would go wrong on AWS -> the test modules that would find it here.
CHECKS = {
    "a resource is made before its role has what AWS looks for": ["tests/workflow/test_creation_order.py"],
    "whoever deploys lacks a permission; a policy is too long": [
        "tests/workflow/test_deploying_permissions.py",
        "tests/workflow/test_build_role.py",
    ],
    "a role lacks what its code calls, or has more": [
        "tests/workflow/test_least_privilege.py",
        "tests/e2e/test_enforced_roles.py",
    ],
    "events come in another order, twice, or about metadata only": ["tests/lambdas/test_deploy_model_orders.py"],
    "a request has a member that AWS does not know": ["tests/fakes/test_fake_sagemaker.py"],
    "the delivery promotes another version than was asked about": ["tests/workflow/test_delivery.py"],
    "another account may not read what it promotes, or may read more": [
        "tests/workflow/test_cross_account.py",
        "tests/e2e/test_two_accounts.py",
    ],
    "a step's arguments are none that SageMaker takes": ["tests/pipelines/test_pipeline_definition.py"],
    "a model card does not fit its schema": ["tests/lambdas/test_write_model_card.py"],
    "a rule fires, and nothing arrives": ["tests/workflow/test_event_targets.py"],
    "a private subnet has no way to an API": ["tests/workflow/test_network.py"],
    "a state machine retries what will never succeed": ["tests/workflow/test_inference_machine.py"],
    "the template is not what was reviewed": ["tests/workflow/test_template.py"],
}


def first_line(module: Path) -> str:
    """The first line of a module's docstring, without its full stop."""
    said = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return said.splitlines()[0].rstrip(".")


def table() -> str:
    """The table of docs/aws.md: what would go wrong, which test module checks it, and its first line."""
    rows = ["| what would go wrong on AWS | checked by | how |", "| -- | -- | -- |"]
    for risk, modules in CHECKS.items():
        for number, module in enumerate(modules):
            rows.append(f"| {'' if number else risk} | `{module}` | {first_line(ROOT / module)} |")
    return "\n".join(rows)


def test_the_list_in_the_documentation_is_that_of_the_checks():
    """After a wanted change, write it anew: `REWRITE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/workflow`."""
    text = DOCUMENT.read_text()
    wanted = re.sub(f"{START}.*{END}", f"{START}\n\n{table()}\n\n{END}", text, flags=re.DOTALL)
    if os.environ.get("REWRITE_SNAPSHOTS"):
        DOCUMENT.write_text(wanted)
        text = wanted
    assert START in text
    assert text == wanted, "the checks have changed: see the docstring of this test"
