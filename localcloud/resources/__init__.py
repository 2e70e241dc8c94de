"""One file a resource. A module listed here registers its operations when it is imported."""

from importlib import import_module

MODULES = [
    "tags",
    "model_packages",
    "model_package_groups",
    "model_cards",
    "lineage",
    "models",
    "endpoint_configs",
    "endpoints",
    "pipelines",
    "executions",
    "callbacks",
    "processing_jobs",
    "training_jobs",
]


def load() -> None:
    """Import every resource module that is listed."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
