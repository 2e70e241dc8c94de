"""Reads files of image rules and finds the rule for an address. Pure, but for reading the file that is named."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "images.toml"
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
_MEMBERS = {
    "name",
    "pattern",
    "requirements",
    "environment",
    "python",
    "library",
    "variables",
    "metrics",
    "entrypoint",
    "refused",
}


class CatalogError(ValueError):
    """A file of image rules cannot be used; the message names the file, the rule and the member."""


class UnknownImageError(LookupError):
    """No rule matches an address; the message has the lines to add."""


@dataclass(frozen=True)
class Rule:
    """What stands for the images whose whole address matches `pattern`.

    Either `requirements` (lines of a requirements file) say what is installed for `python`, or `environment` is a
    virtual environment that is there already. `library` is the package whose version the images' tags begin with.
    `metrics` are those that the images' own algorithm logs for the channels train and validation, as `rmse`.
    `entrypoint` is the command of a processing job that names none. `refused` says instead why nothing can run in such
    an image here.
    """

    name: str
    pattern: str
    requirements: tuple[str, ...] = ()
    environment: Path | None = None
    python: str = "3.11"
    library: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    refused: str = ""

    def metric_definitions(self) -> list[dict[str, str]]:
        """The MetricDefinitions that SageMaker has for the images' own algorithm."""
        return [
            {"Name": f"{channel}:{name}", "Regex": rf".*\[[0-9]+\].*#011{channel}-{re.escape(name)}:{_NUMBER}.*"}
            for channel in ("train", "validation")
            for name in self.metrics
        ]

    def installed_version(self) -> str:
        """The version of `library` that the requirements pin, or an empty text."""
        pins = dict(line.partition("==")[::2] for line in self.requirements)
        return pins.get(self.library, "")

    def difference(self, address: str) -> str:
        """A sentence if the image's tag names another version of the library than what is installed, else empty."""
        asked, installed = tag_version(address), self.installed_version()
        if not asked or not installed or f"{installed}.".startswith(f"{asked}."):
            return ""
        return f"The image {address} has {self.library} {asked}; the environment that stands for it has {installed}."


def read(path: Path) -> list[Rule]:
    """The rules of a file, in its order; CatalogError if it is missing, no TOML, or a rule has a wrong member."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path} is no TOML: {error}") from None
    tables = document.get("image")
    if set(document) - {"image"} or not isinstance(tables, list):
        raise CatalogError(f"{path} must hold tables [[image]] and nothing else")
    return [_rule(table, f"{path}, image {number}", path.parent) for number, table in enumerate(tables, 1)]


def known_rules(own: Path | None) -> list[Rule]:
    """The rules of the user's file, if there is one, before the shipped ones. CatalogError."""
    return [*(read(own) if own is not None else ()), *read(SHIPPED)]


def find(rules: Sequence[Rule], address: str) -> Rule:
    """The first rule whose pattern matches the whole address; UnknownImageError if there is none."""
    for rule in rules:
        if re.fullmatch(rule.pattern, address):
            if rule.refused:
                raise UnknownImageError(f"The local cloud cannot run the image {address!r}: {rule.refused}")
            return rule
    raise UnknownImageError(
        f"The local cloud knows no environment for the image {address!r}. {lines_to_add(address)}requirements = []"
    )


def lines_to_add(address: str) -> str:
    """A sentence that says where a rule of the user's own goes, and the rule's first lines for this address."""
    repository = address.partition("@")[0].rpartition("/")[2].partition(":")[0] or "my-image"
    return (
        f"Add these lines to a file, and start it with `localcloud up --images FILE`:\n"
        f"[[image]]\nname = {repository!r}\npattern = '(.*/)?{re.escape(repository)}.*'\n"
    )


def tag_version(address: str) -> str:
    """The version that an image's tag begins with: `1.2` of `sagemaker-scikit-learn:1.2-1`; empty if it has none."""
    tag = address.rpartition("/")[2].partition(":")[2]
    found = re.match(r"\d+(\.\d+)+", tag)
    return found.group() if found else ""


def _rule(table: Any, where: str, folder: Path) -> Rule:
    """Parse one rule of an image file; `where` names it in errors. CatalogError if it is malformed."""
    if not isinstance(table, dict):
        raise CatalogError(f"{where} is no table")
    unknown = sorted(set(table) - _MEMBERS)
    if unknown:
        raise CatalogError(f"{where} has the unknown member {unknown[0]!r}; known are {', '.join(sorted(_MEMBERS))}")
    for name in ("name", "pattern", "python", "library", "environment", "refused"):
        if not isinstance(table.get(name, ""), str):
            raise CatalogError(f"{where}: {name} must be a text")
    name, pattern = table.get("name", ""), table.get("pattern", "")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
        raise CatalogError(f"{where}: name {name!r} must be of small letters, digits, '.', '_' and '-'")
    try:
        re.compile(pattern)
    except re.error as error:
        raise CatalogError(f"{where}: pattern {pattern!r} is no regular expression: {error}") from None
    if not pattern:
        raise CatalogError(f"{where}: pattern is missing")
    requirements, variables = table.get("requirements", []), table.get("variables", {})
    if not isinstance(requirements, list) or not all(isinstance(line, str) for line in requirements):
        raise CatalogError(f"{where}: requirements must be a list of texts")
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise CatalogError(f"{where}: variables must be a table of texts")
    for member in ("metrics", "entrypoint"):
        texts = table.get(member, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise CatalogError(f"{where}: {member} must be a list of texts")
    if sum(member in table for member in ("requirements", "environment", "refused")) != 1:
        raise CatalogError(f"{where}: give either requirements, environment or refused")
    environment = (folder / Path(table["environment"]).expanduser()).absolute() if "environment" in table else None
    if environment is not None and not (environment / "bin" / "python").exists():
        raise CatalogError(f"{where}: environment {environment} holds no bin/python")
    return Rule(
        name=name,
        pattern=pattern,
        requirements=tuple(requirements),
        environment=environment,
        python=table.get("python", "3.11"),
        library=table.get("library", ""),
        variables=variables,
        metrics=tuple(table.get("metrics", [])),
        entrypoint=tuple(table.get("entrypoint", [])),
        refused=table.get("refused", ""),
    )
