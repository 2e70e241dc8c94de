"""Which environment stands for an image: the rules, and what is wrong with a file of them."""

from pathlib import Path

import pytest

from localcloud.images.catalog import (
    SHIPPED,
    CatalogError,
    Rule,
    UnknownImageError,
    find,
    known_rules,
    read,
    tag_version,
)
from localcloud.jobs.metrics import MetricReader

AWS = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"{AWS}/sagemaker-scikit-learn:1.2-1-cpu-py3", "scikit-learn"),
        (f"{AWS}/sagemaker-scikit-learn:0.23-1-cpu-py3", "scikit-learn"),
        (f"{AWS}/sagemaker-xgboost:1.7-1", "xgboost"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "xgboost"),
        (
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.3.0-cpu-py311-ubuntu20.04-sagemaker",
            "pytorch",
        ),
        ("763104351884.dkr.ecr.eu-west-1.amazonaws.com/tensorflow-inference:2.14.1-cpu", "tensorflow"),
        ("763104351884.dkr.ecr.eu-west-1.amazonaws.com/mxnet-training:1.9.0-cpu-py38", "mxnet"),
        ("236514542706.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-38:1.0", "python"),
    ],
)
def test_aws_own_images_are_known(address: str, name: str) -> None:
    assert find(read(SHIPPED), address).name == name


def test_an_unknown_image_is_refused_with_the_lines_to_add(tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match=r"knows no environment for the image .*churn") as refusal:
        find(read(SHIPPED), "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/churn:7")

    own = tmp_path / "images.toml"
    own.write_text(str(refusal.value).partition("\n")[2])
    assert find(known_rules(own), "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/churn:7").name == "churn"


def test_the_users_rules_come_first(tmp_path: Path) -> None:
    own = tmp_path / "images.toml"
    own.write_text("[[image]]\nname = 'mine'\npattern = '.*scikit.*'\nrequirements = []\n")

    assert find(known_rules(own), f"{AWS}/sagemaker-scikit-learn:1.2-1").name == "mine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[image]", "is no TOML"),
        ("x = 1", "must hold tables"),
        ("[[image]]\nname = 'a'\npattern = '['\nrequirements = []", "is no regular expression"),
        ("[[image]]\nname = 'A b'\npattern = '.*'\nrequirements = []", "name 'A b' must be"),
        ("[[image]]\nname = 'a'\nrequirements = []", "pattern is missing"),
        ("[[image]]\nname = 'a'\npattern = '.*'", "either requirements, environment or refused"),
        ("[[image]]\nname = 'a'\npattern = '.*'\nrequirement = []", "unknown member 'requirement'"),
        ("[[image]]\nname = 'a'\npattern = '.*'\nrequirements = [1]", "must be a list of texts"),
        ("[[image]]\nname = 'a'\npattern = '.*'\nenvironment = '/no'", "holds no bin/python"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "images.toml"
    path.write_text(text)

    with pytest.raises(CatalogError, match=reason) as refusal:
        read(path)

    assert str(path) in str(refusal.value)


def test_another_version_than_the_tags_is_told() -> None:
    rule = Rule("a", ".*", ("scikit-learn==1.2.2",), library="scikit-learn")

    assert rule.difference(f"{AWS}/sagemaker-scikit-learn:1.2-1-cpu-py3") == ""
    assert "has scikit-learn 0.23;" in rule.difference(f"{AWS}/sagemaker-scikit-learn:0.23-1-cpu-py3")


def test_a_tag_without_a_version_has_none() -> None:
    assert tag_version("1.dkr.ecr.us-east-1.amazonaws.com/x:latest") == ""
    assert tag_version("localhost:5000/x") == ""


@pytest.mark.parametrize("name", ["linear-learner:1", "kmeans:1", "sagemaker-spark-processing:3.1-cpu-py37-v1.2"])
def test_closed_algorithms_and_spark_are_refused_with_the_reason(name: str) -> None:
    address = f"382416733822.dkr.ecr.us-east-1.amazonaws.com/{name}"

    with pytest.raises(UnknownImageError, match=r"cannot run the image .*(built-in algorithm|Apache Spark)"):
        find(known_rules(None), address)


def test_xgboost_measures_what_aws_says_it_does() -> None:
    rule = find(known_rules(None), "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1")
    reader = MetricReader(rule.metric_definitions())

    reader.line("[12]#011train-rmse:0.51000#011validation-rmse:1.25000")

    assert {one["MetricName"]: one["Value"] for one in reader.final()} == {"train:rmse": 0.51, "validation:rmse": 1.25}
