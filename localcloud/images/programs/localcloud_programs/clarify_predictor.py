"""Asks the model for predictions of rows, as a Clarify job does: through an endpoint that it makes for itself.

How rows are written and answers read is the configuration's member `predictor`; source: "Analysis Configuration Files"
in the SageMaker developer guide.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
import jmespath
import numpy as np
import pandas as pd

from localcloud_programs.clarify_data import AnalysisError

Document = dict[str, Any]
Scores = np.ndarray[Any, np.dtype[Any]]
_ROWS, _POLL_SECONDS, _WAIT_SECONDS = 1_000, 0.2, 1_800


def body(rows: pd.DataFrame, predictor: Mapping[str, Any]) -> str:
    """The body of a request for some rows of features."""
    kind = predictor.get("content_type", "text/csv").lower()
    if kind == "text/csv":
        return str(rows.to_csv(header=False, index=False))
    records = [_record(list(rows.columns), values, predictor) for values in rows.astype(object).to_numpy().tolist()]
    if kind == "application/jsonlines":
        return "\n".join(records) + "\n"
    template = predictor.get("content_template", "$records")
    return str(template).replace("$records", f"[{','.join(records)}]")


def _record(names: Sequence[str], values: Sequence[Any], predictor: Mapping[str, Any]) -> str:
    jsonlines = predictor["content_type"].lower() == "application/jsonlines"
    template = predictor.get("content_template" if jsonlines else "record_template", '{"features":$features}')
    with_names = json.dumps(dict(zip(map(str, names), values, strict=True)))
    return str(template).replace("$features_kvp", with_names).replace("$features", json.dumps(values))


def answers(text: str, accept: str, path: str | int | None, count: int) -> list[Any]:
    """What stands at `path` in each answer of a body to `count` rows: a position in CSV, a JMESPath in JSON.

    Without a path it is the whole answer. A CSV of one line with a value for each row is read as that many lines, which
    is how XGBoost's containers answer. AnalysisError if there are not `count` answers.
    """
    found = _answers(text, accept, path, count)
    if len(found) != count:
        raise AnalysisError(f"The model gave {len(found)} answers to {count} rows.")
    return found


def _answers(text: str, accept: str, path: str | int | None, count: int) -> list[Any]:
    """One value for each of the `count` rows sent, from the model's answer.

    `accept` is the content type of the answer; `path` the column of CSV or the JMESPath of JSON, None for all of it.
    Raises AnalysisError where JSON has no list there.
    """
    kind = accept.partition(";")[0].lower()
    if kind == "text/csv":
        rows = [[_value(cell) for cell in line.split(",")] for line in text.splitlines() if line.strip()]
        if len(rows) == 1 < count == len(rows[0]):
            rows = [[value] for value in rows[0]]
        if path is None:
            return [row[0] if len(row) == 1 else row for row in rows]
        return [row[int(path)] for row in rows]
    if kind == "application/jsonlines":
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [document if path is None else jmespath.search(str(path), document) for document in documents]
    document = json.loads(text)
    found = document if path is None else jmespath.search(str(path), document)
    if isinstance(found, dict) and len(found) == 1:
        # {"predictions": [...]}: without a path the only member is meant.
        (found,) = found.values()
    if not isinstance(found, list):
        raise AnalysisError(f"predictor: {path!r} finds no list in the model's answer {text[:100]!r}.")
    return [next(iter(one.values())) if isinstance(one, dict) and len(one) == 1 else one for one in found]


def _value(cell: str) -> Any:
    """Return a cell of CSV as a number, else as text."""
    text = cell.strip().strip('"')
    try:
        return float(text)
    except ValueError:
        return text


class Predictor:
    """A model behind an endpoint; `config` is the analysis' member `predictor`."""

    def __init__(self, runtime: Any, endpoint: str, config: Mapping[str, Any]) -> None:
        self._runtime, self._endpoint, self._config = runtime, endpoint, config

    def ask(self, rows: pd.DataFrame, path: str | int | None) -> list[Any]:
        """For each row what stands at `path` in the model's answer. AnalysisError if there is not one for each."""
        found: list[Any] = []
        for start in range(0, len(rows), _ROWS):
            found += self._ask(rows.iloc[start : start + _ROWS], path)
        return found

    def _ask(self, rows: pd.DataFrame, path: str | int | None) -> list[Any]:
        """Send rows in one request; return what stands at `path` in the answer to each."""
        if len(rows) == 1:
            # The CSV readers of AWS's containers take a single line for a vector, which no model predicts.
            return self._ask(pd.concat([rows, rows]), path)[:1]
        accept = self._config.get("accept_type", "text/csv")
        optional = {"custom_attributes": "CustomAttributes", "target_model": "TargetModel"}
        answer = self._runtime.invoke_endpoint(
            EndpointName=self._endpoint,
            ContentType=self._config.get("content_type", "text/csv"),
            Accept=accept,
            Body=body(rows, self._config).encode(),
            **{member: self._config[name] for name, member in optional.items() if self._config.get(name)},
        )
        return answers(answer["Body"].read().decode(), accept, path, len(rows))

    def scores(self, rows: pd.DataFrame) -> Scores:
        """The model's scores of rows: an array of rows and labels. AnalysisError if an answer is no number."""
        path = self._config.get("probability", self._config.get("label"))
        found = self.ask(rows, path)
        try:
            return np.array([np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in found])
        except ValueError:
            raise AnalysisError(
                f"The model's answer {found[0]!r} is no score; explanations need one: give model_scores."
            ) from None

    def labels(self, rows: pd.DataFrame, truth: pd.Series[Any], threshold: float | None) -> pd.Series[Any]:
        """The predicted labels of rows, in the type of the true labels `truth`.

        A probability is turned into a label: of two classes by `threshold` (0.5), of several the most probable one of
        `label_headers`.
        """
        label, probability = self._config.get("label"), self._config.get("probability")
        headers = self._config.get("label_headers")
        found = self.ask(rows, probability if label is None else label)
        if label is not None and not (headers and isinstance(found[0], list)):
            return _typed(found, truth)
        scores = [np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in found]
        if len(scores[0]) > 1:
            names = headers or list(range(len(scores[0])))
            return _typed([names[int(one.argmax())] for one in scores], truth)
        plain = [float(one[0]) for one in scores]
        if threshold is None and probability is None and not all(0 <= one <= 1 for one in plain):
            return _typed(plain, truth)
        limit = 0.5 if threshold is None else threshold
        names = headers if headers and len(headers) > 1 else [0, 1]
        return _typed([names[int(one >= limit)] for one in plain], truth)


def _typed(values: Sequence[Any], truth: pd.Series[Any]) -> pd.Series[Any]:
    found = pd.Series(list(values), index=truth.index)
    if pd.api.types.is_integer_dtype(truth.dtype):
        return pd.to_numeric(found).round().astype(truth.dtype)
    return found.astype(truth.dtype)


@contextmanager
def served(config: Mapping[str, Any], model: str | None) -> Iterator[Predictor]:
    """The model of an analysis while it is served; the endpoint is removed afterwards unless it was there before.

    `model` is the name of the model that the pipeline's step gives in place of the configuration.
    """
    sagemaker, runtime = boto3.client("sagemaker"), boto3.client("sagemaker-runtime")
    if config.get("endpoint_name"):
        yield Predictor(runtime, config["endpoint_name"], config)
        return
    model = model or config.get("model_name")
    if not model:
        raise AnalysisError("The analysis names no model: give predictor.model_name.")
    name = f"{config.get('endpoint_name_prefix', 'sagemaker-clarify-endpoint')}-{uuid.uuid4().hex[:10]}"
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InitialInstanceCount": config.get("initial_instance_count", 1),
        "InstanceType": config.get("instance_type", "ml.m5.large"),
    }
    print(f"Serving the model {model} as {name}")
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    try:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        try:
            _wait(sagemaker, name)
            yield Predictor(runtime, name, config)
        finally:
            sagemaker.delete_endpoint(EndpointName=name)
    finally:
        sagemaker.delete_endpoint_config(EndpointConfigName=name)


def _wait(sagemaker: Any, name: str) -> None:
    """Wait until the endpoint is in service; AnalysisError if it fails or takes longer than _WAIT_SECONDS."""
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        found = sagemaker.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] == "InService":
            return
        if found["EndpointStatus"] == "Failed":
            raise AnalysisError(f"The model cannot be served: {found.get('FailureReason', 'no reason is given')}")
        time.sleep(_POLL_SECONDS)
    raise AnalysisError(f"The model was not served within {_WAIT_SECONDS // 60} minutes.")
