"""The pipeline's parameters: one table, read by the definition, the command line and docs/parameters.md."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines import costs, numbers

Value = str | int | float

CLASS_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/\S*")


@dataclass(frozen=True)
class Parameter:
    """One pipeline parameter.

    `name` is its name in SageMaker, `minimum` and `maximum` are inclusive, `form` names a check for strings, and
    `option` is False for what the command line works out itself. `searched`: training may be tuned by it.
    """

    name: str
    kind: Literal["String", "Integer", "Float"]
    default: Value | None
    help: str
    minimum: float | None = None
    maximum: float | None = None
    form: Literal["classes", "costs", "instance", "s3", "switch", ""] = ""
    option: bool = True
    searched: bool = False

    @property
    def flag(self) -> str:
        """Its command line option: `LearningRate` becomes `--learning-rate`."""
        return "--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", self.name).lower()

    @property
    def allowed(self) -> str:
        """The values that the parameter takes, in words."""
        if self.form == "classes":
            return "two or more different names of ASCII letters, digits, - and _, separated by commas"
        if self.form == "costs":
            return "none, a number from 0 to 1,000,000, or numbers by class as bicycle=2,motorcycle=10"
        if self.form == "instance":
            return "an instance type such as ml.m5.large"
        if self.form == "s3":
            return "an S3 address"
        if self.form == "switch":
            return "yes or no"
        if self.minimum is not None:
            return f"{_plain(self.minimum)} to {_plain(self.maximum or 0)}"
        return "text"

    def parse(self, text: str | float) -> Value:
        """The value that `text` means.

        Raises ValueError, with a sentence that names parameter, value and range, when it means none that is allowed.
        """
        try:
            value = self._convert(text)
        except ValueError:
            raise ValueError(f"{self.flag} {text}: must be {self._kind_in_words()}, {self.allowed}") from None
        if isinstance(value, str):
            self._check_form(value)
        elif self.minimum is not None and self.maximum is not None and not self.minimum <= value <= self.maximum:
            raise ValueError(f"{self.flag} {text}: must be {self.allowed}")
        return value

    def _convert(self, text: str | float) -> Value:
        """Return a text or number in the parameter's own type; ValueError when it is not of that type."""
        if self.kind == "Integer":
            return numbers.whole(text)
        if self.kind == "Float":
            number = numbers.number(text)
            if not math.isfinite(number):
                raise ValueError
            return number
        return str(text).strip()

    def _kind_in_words(self) -> str:
        return {"Integer": "a whole number", "Float": "a number", "String": "text"}[self.kind]

    def _check_form(self, value: str) -> None:
        """Raise ValueError, with a sentence that names the parameter, where a text has another form than its own."""
        ok = bool(value) and len(value) <= 1024  # StartPipelineExecution's limit
        if self.form == "classes":
            names = value.split(",")
            ok = ok and len(names) > 1 and len(set(names)) == len(names) and all(CLASS_NAME.fullmatch(n) for n in names)
        elif self.form == "costs":
            try:
                costs.read(value)
            except ValueError as error:
                raise ValueError(f"{self.flag} {value}: {error}; it must be {self.allowed}") from None
        elif self.form == "instance":
            ok = ok and bool(_INSTANCE.fullmatch(value))
        elif self.form == "s3":
            ok = ok and bool(_S3.fullmatch(value))
        elif self.form == "switch":
            ok = value in {"yes", "no"}
        if not ok:
            raise ValueError(f"{self.flag} {value}: must be {self.allowed}")


def _plain(number: float) -> str:
    """Return a number as text for people: `1,000`, `0.97`, `1e-06`."""
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("InputData", "String", None, "Where the photos lie in S3: an archive, or a folder a class.", form="s3",
              option=False),
    Parameter("DataLabel", "String", "photos", "What the data are, printed on every report.", option=False),
    Parameter("Champion", "String", None, "Where the model.tar.gz lies that is compared with.", form="s3",
              option=False),
    Parameter("RegisteredModel", "String", "none", "Where the model.tar.gz of the version lies that the same inputs "
              "gave before: if training gives it again, from the cache, no second version is registered.",
              option=False),
    Parameter("LabelledPhotos", "String", None, "The list of photos that people labelled: some are learned from, some "
              "are the recent test.", form="s3", option=False),
    Parameter("Reason", "String", "trained by hand", "Why the version exists, for its description.", option=False),
    Parameter("GitCommit", "String", "unknown", "The commit that this runs, for the version's metadata.", option=False),
    Parameter("Classes", "String", "bicycle,motorcycle", "The vehicles to tell apart.", form="classes"),
    Parameter("Epochs", "Integer", 20, "Passes over the training photos.", 1, 1000, searched=True),
    Parameter("BatchSize", "Integer", 32, "Photos in one step of gradient descent.", 2, 1024, searched=True),
    Parameter("LearningRate", "Float", 0.1, "Learning rate after warm-up, the highest.", 1e-6, 10,
              searched=True),
    Parameter("Seed", "Integer", 1, "Seed of everything that is drawn.", 0, 2**31 - 1),
    Parameter("Pretrained", "String", "yes", "Start from the weights that ship, made from photos of other things.",
              form="switch"),
    Parameter("SecondOpinionBelow", "Float", 0.995, "Confidence, or in_distribution, below which a large network is "
              "asked too: 0 never (and the artifact holds none), 1 always.", 0, 1),
    Parameter("MinimumAccuracy", "Float", 0.85, "Test accuracy below which no version is registered.", 0, 1),
    Parameter("ChampionTolerance", "Float", 0.02, "Test accuracy that a version may lose to the approved one.", 0, 1),
    Parameter("TargetPrecision", "Float", 0.97, "Share of accepted photos that must be right; sets the threshold.",
              0.5, 0.999),
    Parameter("CostOfWrongBay", "String", costs.NONE, "Cost of a wrong answer that is acted upon, by the class "
              "answered: the threshold is where photos cost least, instead of where TargetPrecision is reached.",
              form="costs"),
    Parameter("CostOfReview", "Float", 1.0, "Cost of a photo that a person looks at, in the unit of CostOfWrongBay.",
              0, costs.MOST),
    Parameter("ProcessingInstanceType", "String", "ml.m5.large", "Machine of the Stage and Evaluate steps.",
              form="instance"),
    Parameter("TrainingInstanceType", "String", "ml.c5.xlarge", "Machine of the Train step.", form="instance"),
    Parameter("TrainingInstanceCount", "Integer", 1, "Machines that train together.", 1, 20),
    Parameter("VolumeSizeInGB", "Integer", 30, "Disk of each machine, in GB.", 5, 1024),
)  # fmt: skip

BY_NAME = {p.name: p for p in PARAMETERS}


def as_request(values: dict[str, Value]) -> list[dict[str, str]]:
    """`values` as StartPipelineExecution's PipelineParameters, checked and in the table's order.

    Raises ValueError for an unknown name, a missing required one, a value out of range, or costs of other classes.
    """
    unknown = sorted(set(values) - set(BY_NAME))
    if unknown:
        raise ValueError(f"unknown pipeline parameter {unknown[0]}: there are {', '.join(BY_NAME)}")
    missing = [p.name for p in PARAMETERS if p.default is None and p.name not in values]
    if missing:
        raise ValueError(f"the pipeline parameter {missing[0]} has no default: give it a value")
    check_costs(values)
    return [{"Name": p.name, "Value": str(p.parse(values[p.name]))} for p in PARAMETERS if p.name in values]


def check_costs(values: Mapping[str, Value]) -> None:
    """Raise ValueError, with a sentence, where the values name costs of classes that they do not name, or lack one."""
    names = ("CostOfWrongBay", "CostOfReview", "Classes")
    wrong_bay, review, classes = (values.get(name, BY_NAME[name].default) for name in names)
    try:
        costs.of(str(wrong_bay), str(review), str(classes).split(","))
    except ValueError as error:
        raise ValueError(f"{BY_NAME['CostOfWrongBay'].flag} {wrong_bay}: {error}") from None


def as_text(values: Mapping[str, Value]) -> dict[str, str]:
    """What an execution with these values runs with: all parameters as text, defaults included."""
    chosen = {p.name: values.get(p.name, p.default) for p in PARAMETERS}
    return {name: str(BY_NAME[name].parse(value)) for name, value in chosen.items() if value is not None}


def as_markdown() -> str:
    """Return the table of parameters as Markdown, for docs/parameters.md."""
    lines = [
        "# Pipeline parameters",
        "",
        "Written by `python -m pipelines parameters > docs/parameters.md`; a test keeps it complete.",
        "",
        "| parameter | option of `loadingbay run` | type | default | allowed | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for p in PARAMETERS:
        option = f"`{p.flag}`" if p.option else "worked out by the command"
        default = f"`{p.default}`" if p.default is not None else "required"
        lines.append(f"| `{p.name}` | {option} | {p.kind} | {default} | {p.allowed} | {p.help} |")
    return "\n".join(lines) + "\n"
