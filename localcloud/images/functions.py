"""The rule of a job that runs a function of @step or @remote: Python and SDK are those that the function comes from.

A function arrives pickled, and can be read only by the Python version that has written it and by the same major
version of SageMaker's SDK. Both SDKs name their versions in the job's arguments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from localcloud.images.catalog import Rule

_SDK = "sagemaker=="
_VERSION = re.compile(r"\d+(\.\d+)+([a-z0-9.]*)")


def for_function(rule: Rule, command: Sequence[str]) -> Rule:
    """The rule with the Python and the SDK that the command says its function comes from.

    `command` is what the job runs, with its arguments. A rule whose requirements hold no SDK is returned as it is, and
    so is every rule for a command that runs no function.
    """
    python, sdk = _given(command, "--client_python_version"), _given(command, "--client_sagemaker_pysdk_version")
    if not python or not sdk or not any(line.startswith(_SDK) for line in rule.requirements):
        return rule
    requirements = tuple(f"{_SDK}{sdk}" if line.startswith(_SDK) else line for line in rule.requirements)
    return replace(rule, python=python, requirements=requirements)


def _given(command: Sequence[str], option: str) -> str:
    """The version that follows an option; empty if the option is not there or no version follows."""
    place = list(command).index(option) + 1 if option in command else len(command)
    given = command[place] if place < len(command) else ""
    return given if _VERSION.fullmatch(given) else ""
