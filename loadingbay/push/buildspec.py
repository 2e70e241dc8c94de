"""Reads a buildspec.yml, version 0.2: phases, commands, variables. What cannot be carried out is refused by name.

The format is CodeBuild's: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loadingbay.errors import WorkError

PHASES = ("install", "pre_build", "build", "post_build")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What CodeBuild does beside the phases, and a push does not: nothing in a phase depends on it.
_LEFT_OUT = ("artifacts", "cache", "reports", "proxy")


@dataclass(frozen=True)
class Phase:
    """One phase. `on_failure` is ABORT, CONTINUE, or "" for what CodeBuild does when nothing is said."""

    name: str
    commands: tuple[str, ...]
    finally_: tuple[str, ...]
    on_failure: str


@dataclass(frozen=True)
class Buildspec:
    """A whole buildspec. `left_out` names the parts of it that a push does not carry out."""

    phases: tuple[Phase, ...]
    variables: Mapping[str, str]
    exported: tuple[str, ...]
    shell: str
    left_out: tuple[str, ...]


def read(path: Path) -> Buildspec:
    """Reads the file. Raises WorkError that names the place of what is wrong or cannot be carried out here."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WorkError(f"the commit has no {path.name}: a push runs the phases of that file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WorkError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error
    return parse(document, path.name)


def parse(document: Any, name: str = "buildspec.yml") -> Buildspec:
    """Makes a Buildspec of the parsed YAML. Raises WorkError like `read`."""
    top = _mapping(document, name)
    if str(top.get("version")) != "0.2":
        raise WorkError(f"{name}: version is {top.get('version')}, only 0.2 can be carried out")
    _only(top, {"version", "env", "phases", *_LEFT_OUT}, name)
    env = _mapping(top.get("env") or {}, f"{name}, env")
    # Secrets would have to come from a store that is not asked here: better none than an empty one.
    _only(env, {"shell", "variables", "exported-variables"}, f"{name}, env")
    shell = str(env.get("shell", "sh"))
    if shell not in {"sh", "bash"}:
        raise WorkError(f"{name}, env: shell is {shell}, only sh and bash can be carried out")
    given = _mapping(top.get("phases"), f"{name}, phases")
    _only(given, set(PHASES), f"{name}, phases")
    variables = {
        variable(key, f"{name}, env"): "" if value is None else str(value)
        for key, value in _mapping(env.get("variables") or {}, f"{name}, env.variables").items()
    }
    return Buildspec(
        phases=tuple(_phase(phase, given[phase], f"{name}, phases.{phase}") for phase in PHASES if phase in given),
        variables=variables,
        exported=_texts(env.get("exported-variables"), f"{name}, env.exported-variables"),
        shell=shell,
        left_out=tuple(part for part in _LEFT_OUT if part in top),
    )


def variable(name: str, where: str) -> str:
    """The name, if a shell takes it as one. Raises WorkError that names it and `where` it stands."""
    if not _NAME.fullmatch(name):
        raise WorkError(f"{where}: {name!r} is no name of a variable: letters, digits and _, no digit first")
    return name


def _phase(name: str, given: Any, where: str) -> Phase:
    """Parse one phase; `where` names it in errors. WorkError when it asks for what cannot be carried out."""
    phase = _mapping(given, where)
    _only(phase, {"commands", "finally", "on-failure", "runtime-versions"}, where)
    on_failure = str(phase.get("on-failure", ""))
    if on_failure not in {"", "ABORT", "CONTINUE"}:
        raise WorkError(f"{where}: on-failure is {on_failure}, only ABORT and CONTINUE can be carried out")
    return Phase(
        name,
        _texts(phase.get("commands"), f"{where}.commands"),
        _texts(phase.get("finally"), f"{where}.finally"),
        on_failure,
    )


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise WorkError(f"{where}: is {type(value).__name__}, must be a mapping")
    return {str(key): item for key, item in value.items()}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """Return a text, or a list of texts, as a tuple; () for None. WorkError, which names `where`, for other values."""
    listed = [] if value is None else value if isinstance(value, list) else [value]
    for item in listed:
        if not isinstance(item, str):
            # `- echo a: b` is a mapping for YAML.
            raise WorkError(f"{where}: {item!r} is not text: put it in quotes, or after `|`")
    return tuple(listed)


def _only(mapping: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(mapping) - known)
    if unknown:
        raise WorkError(f"{where}: {unknown[0]} cannot be carried out here, only {', '.join(sorted(known))}")
