"""Trains with XGBoost in script mode on the instances of the job, by what AWS's container has for that."""

import json
import os
import pickle
from pathlib import Path

import xgboost
from sagemaker_containers import entry_point  # noqa: F401 - public scripts import it
from sagemaker_xgboost_container import distributed
from sagemaker_xgboost_container.data_utils import get_dmatrix


def train(rows: xgboost.DMatrix, is_master: bool) -> None:
    model = xgboost.train({"max_depth": 3}, rows, num_boost_round=5, evals=[(rows, "train")])
    if is_master:
        Path(os.environ["SM_MODEL_DIR"], "xgboost-model").write_bytes(pickle.dumps(model))


if __name__ == "__main__":
    hosts = json.loads(os.environ["SM_HOSTS"])
    rows = get_dmatrix(os.environ["SM_CHANNEL_TRAIN"], "csv")
    print(f"rows={rows.num_row()};")
    distributed.rabit_run(
        exec_fun=train,
        args={"rows": rows},
        include_in_training=rows is not None,
        hosts=hosts,
        current_host=os.environ["SM_CURRENT_HOST"],
        update_rabit_args=True,
    )
