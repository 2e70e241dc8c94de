"""The operations of SageMaker's API, one module a resource.

Importing a module of MODULES registers its operations; `load` imports all. What the operations start is done in
`engine`, `jobs` and `serving`. What the four kinds of jobs share is in `job_resource`.
"""

from importlib import import_module

MODULES = [
    "tags",
    "model_packages",
    "model_package_groups",
    "model_cards",
    "tracking",
    "trials",
    "lineage",
    "search",
    "models",
    "endpoint_configs",
    "endpoints",
    "pipelines",
    "executions",
    "callbacks",
    "processing_jobs",
    "training_jobs",
    "transform_jobs",
    "tuning_jobs",
]


def load() -> None:
    """Import every resource module that is listed."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
