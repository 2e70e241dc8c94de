"""Installs the `loadingbay` command; tools are configured in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    name="loadingbay",
    version="0.2.0",
    description="A SageMaker Pipelines MLOps project whose whole life runs on one machine, and unchanged on AWS",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["loadingbay*", "pipelines*", "processing*"]),
    package_data={"loadingbay.console": ["templates/*", "static/*"]},
    entry_points={"console_scripts": ["loadingbay = loadingbay.cli:main"]},
)
