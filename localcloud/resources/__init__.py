"""One file a resource. A module listed here registers its operations when it is imported."""

from importlib import import_module
from importlib.util import find_spec

MODULES = [
    "tags",
    "model_packages",
    "model_package_groups",
    "models",
    "endpoint_configs",
    "endpoints",
    "pipelines",
    "executions",
    "processing_jobs",
    "training_jobs",
]


def load() -> None:
    """Import every resource module that is listed."""
    for name in MODULES:
        if find_spec(f"{__name__}.{name}") is not None:
            import_module(f"{__name__}.{name}")
