"""What `train` of an XGBoost image runs: the user's script if one is given, else XGBoost's algorithm mode.

Algorithm mode trains on the channels `train` and `validation` with XGBoost's own hyperparameters and writes
`xgboost-model`. Source: "XGBoost algorithm with Amazon SageMaker AI" in the developer guide.
"""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import xgboost
from sagemaker_training import entry_point, environment, errors
from sagemaker_xgboost_container.distributed import rabit_run

from localcloud_programs.xgboost_data import training_matrix

MODEL = "xgboost-model"
_REFUSED = ("_kfold", "use_dask_gpu_training")
_PICKLED_BEFORE = (1, 3)
"""The version of SageMaker's XGBoost from which models are stored in XGBoost's own format rather than pickled."""


class MetricLines(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # not installed here
    """Prints each round's figures as AWS's container does, so that metric definitions find them."""

    def after_iteration(self, _model: Any, epoch: int, evals_log: dict[str, dict[str, list[Any]]]) -> bool:
        each = [(data, name, values) for data, log in evals_log.items() for name, values in log.items()]
        figures = [f"#011{data}-{name}:{values[-1]:.5f}" for data, name, values in each]
        print(f"[{epoch}]{''.join(figures)}", flush=True)
        return False


def main() -> None:
    """Run script mode or algorithm mode, by the hyperparameter sagemaker_program.

    ClientError of the toolkit if the data or the hyperparameters of algorithm mode are wrong.
    """
    env = environment.Environment()
    if env.user_entry_point:
        entry_point.run(env.module_dir, env.user_entry_point, env.to_cmd_args(), env.to_env_vars())
        return
    try:
        train(env)
    except (ValueError, KeyError, xgboost.core.XGBoostError) as error:
        # The toolkit writes it to the job's failure file; a SystemExit would count as success there.
        raise errors.ClientError(f"{type(error).__name__}: {error}") from error


def train(env: Any) -> None:
    """Algorithm mode; ValueError or XGBoostError if data or hyperparameters are wrong."""
    parameters = {name: str(value) for name, value in env.hyperparameters.items() if not name.startswith("_tuning")}
    refused = sorted(set(parameters) & set(_REFUSED))
    if refused:
        raise ValueError(f"the hyperparameter {refused[0]} is not served by the local cloud")
    if "num_round" not in parameters:
        raise ValueError("the hyperparameter num_round is required")
    rounds = int(parameters.pop("num_round"))
    early = parameters.pop("early_stopping_rounds", None)
    parameters.pop("save_model_on_termination", None)
    weights = parameters.pop("csv_weights", "0") == "1"
    given: dict[str, Any] = dict(parameters)
    if "eval_metric" in given:
        given["eval_metric"] = [name.strip() for name in given["eval_metric"].strip("[]").replace('"', "").split(",")]
    objective = str(environment.read_hyperparameters().get("_tuning_objective_metric", "")).partition(":")[2]
    if objective and objective not in given.get("eval_metric", []):
        given["eval_metric"] = [*given.get("eval_metric", []), objective]
    matrices = {
        name: training_matrix(Path(folder), _type(env, name), weights)
        for name, folder in env.channel_input_dirs.items()
        if name in ("train", "validation")
    }
    if "train" not in matrices:
        raise ValueError("the channel train is missing")
    print(f"Train matrix has {matrices['train'].num_row()} rows", flush=True)

    def fit(is_master: bool) -> None:
        """Train on this host; the master stores the model."""
        booster = xgboost.train(
            given,
            matrices["train"],
            num_boost_round=rounds,
            evals=[(matrix, name) for name, matrix in matrices.items()],
            early_stopping_rounds=int(early) if early else None,
            callbacks=[MetricLines()],
            verbose_eval=False,
        )
        if is_master:
            store(booster, Path(env.model_dir) / MODEL, os.environ.get("LOCALCLOUD_IMAGE", ""))

    if len(env.hosts) > 1:
        rabit_run(fit, {}, True, env.hosts, env.current_host, update_rabit_args=True)
    else:
        fit(is_master=True)


def store(booster: Any, path: Path, address: str) -> None:
    """Write the model as the version that the image's tag names does: pickled before 1.3, then XGBoost's own format."""
    version = re.search(r":(\d+)\.(\d+)", address)
    if version and (int(version[1]), int(version[2])) < _PICKLED_BEFORE:
        path.write_bytes(pickle.dumps(booster))
    else:
        booster.save_model(path)


def _type(env: Any, channel: str) -> str:
    return str(env.input_data_config[channel].get("ContentType", "text/libsvm"))
