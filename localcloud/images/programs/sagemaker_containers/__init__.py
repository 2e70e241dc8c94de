"""What scripts import from AWS's former toolkit `sagemaker_containers`, from the toolkits that have replaced it.

AWS's scikit-learn and XGBoost images still hold it, and public scripts import it in training and in serving. Its last
release needs a protobuf that goes with none of its successors, so it cannot be installed beside them.
"""

from sagemaker_training import entry_point, environment


def training_env() -> environment.Environment:
    """The environment of the training job: channels, hyperparameters, hosts."""
    return environment.Environment()


__all__ = ["entry_point", "training_env"]
