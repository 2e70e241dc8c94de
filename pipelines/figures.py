"""Which figures the model package carries, and which ones SageMaker reads from the training log."""

# What Evaluate writes under "metadata" and the package carries (CustomerMetadataProperties: strings, no commas).
METADATA = (
    "classes",
    "threshold",
    "class_thresholds",
    "costs",
    "cost_of_a_thousand",
    "temperature",
    "target_precision",
    "accuracy",
    "coverage",
    "accepted_precision",
    "out_of_distribution_accepted",
    "out_of_distribution_auroc",
    "accuracy_interval",
    "recent_photos",
    "recent_accuracy",
    "recent_accuracy_interval",
    "data_label",
    "data_sha256",
    "code_sha256",
    "seed",
    "versions",
)

# Figures that SageMaker reads from the training log.
METRICS = {
    "train:loss": "train_loss",
    "validation:accuracy": "validation_accuracy",
    "out-of-fold:accuracy": "out_of_fold_accuracy",
    "out-of-fold:nll": "out_of_fold_nll",
}
