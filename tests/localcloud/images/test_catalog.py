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


DLC = "763104351884.dkr.ecr.eu-west-1.amazonaws.com"
"""The registry of the frameworks' images since 2019."""
OLD = "520713654638.dkr.ecr.us-west-2.amazonaws.com"
"""The registry of the frameworks' images before."""

RUNNING = {
    f"{AWS}/sagemaker-scikit-learn:1.2-1-cpu-py3": "scikit-learn",
    f"{AWS}/sagemaker-scikit-learn:0.23-1-cpu-py3": "scikit-learn",
    f"{AWS}/sagemaker-scikit-learn@sha256:{'0' * 64}": "scikit-learn",
    "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-scikit-learn:1.2-1-cpu-py3": "scikit-learn",
    f"{AWS}/sagemaker-xgboost:1.7-1": "xgboost",
    f"{AWS}/sagemaker-xgboost:0.90-2-cpu-py3": "xgboost",
    "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1": "xgboost",
    "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest": "xgboost",
    f"{DLC}/pytorch-training:2.3.0-cpu-py311-ubuntu20.04-sagemaker": "pytorch",
    f"{DLC}/pytorch-inference:1.8.1-gpu-py3": "pytorch",
    f"{DLC}/pytorch-inference-graviton:2.0.0-cpu-py310-ubuntu20.04-sagemaker": "pytorch",
    "mirror.example:5000/pytorch-training:2.3.0-cpu-py311": "pytorch",
    "public.ecr.aws/deep-learning-containers/pytorch-inference:2.3.0-cpu-py311": "pytorch",
    f"{DLC}/huggingface-pytorch-training:1.7.1-transformers4.6.1-gpu-py36-cu110-ubuntu18.04": "pytorch",
    f"{DLC}/huggingface-pytorch:2.1.0-transformers4.36.0-cpu-py310": "pytorch",
    f"{OLD}/sagemaker-pytorch:1.1.0-cpu-py3": "pytorch",
    f"{DLC}/tensorflow-training:2.14.1-cpu-py310": "tensorflow",
    f"{DLC}/tensorflow-inference:2.14.1-cpu": "tensorflow",
    f"{DLC}/tensorflow-inference-graviton:2.9.1-cpu-py38-ubuntu20.04-sagemaker": "tensorflow",
    f"{OLD}/sagemaker-tensorflow-scriptmode:1.12-cpu-py3": "tensorflow",
    f"{OLD}/sagemaker-tensorflow-serving:1.12-cpu": "tensorflow",
    f"{OLD}/sagemaker-tensorflow:1.10.0-cpu-py2": "tensorflow",
    f"{DLC}/huggingface-tensorflow-training:2.6.3-transformers4.17.0-gpu-py38-cu112": "huggingface-tensorflow",
    f"{DLC}/huggingface-tensorflow-inference:2.11.1-transformers4.26.0-cpu-py39": "huggingface-tensorflow",
    f"{DLC}/huggingface-tensorflow:2.6.3-transformers4.17.0-cpu-py38": "huggingface-tensorflow",
    f"{DLC}/mxnet-training:1.9.0-cpu-py38": "mxnet",
    f"{DLC}/mxnet-inference:1.9.0-cpu-py38": "mxnet",
    f"{OLD}/sagemaker-mxnet:1.4.0-cpu-py3": "mxnet",
    f"{OLD}/sagemaker-mxnet-serving:1.4.0-cpu-py3": "mxnet",
    "236514542706.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-38:1.0": "python",
    "236514542706.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python:py38": "python",
    "885854791233.dkr.ecr.us-east-1.amazonaws.com/sagemaker-distribution-prod:3.0.0-cpu": "python",
    "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer": "model-monitor",
    "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0": "clarify",
}

REFUSED = {
    f"{AWS}/{name}": reason
    for reason, names in {
        "Apache Spark": ("sagemaker-spark-processing:3.1-cpu-py37-v1.2", "sagemaker-sparkml-serving:3.3"),
        "Data Wrangler": ("sagemaker-data-wrangler-container:5.x",),
        "built-in algorithm": (
            "blazingtext:1", "factorization-machines:1", "forecasting-deepar:1", "image-classification:1",
            "ipinsights:1", "kmeans:1", "knn:1", "lda:1", "linear-learner:1", "ntm:1", "object-detection:1",
            "object2vec:1", "pca:1", "randomcutforest:1", "semantic-segmentation:1", "seq2seq:1",
        ),
        "Chainer": ("sagemaker-chainer:5.0.0-cpu-py3",),
        "an accelerator or a compiler": (
            "mxnet-inference-eia:1.7.0-cpu-py3", "sagemaker-mxnet-eia:1.3.0-cpu-py3",
            "sagemaker-mxnet-serving-eia:1.4.0-cpu-py3", "pytorch-inference-eia:1.5.1-cpu-py3",
            "sagemaker-tensorflow-eia:1.10.0-cpu-py2", "sagemaker-tensorflow-serving-eia:1.13-cpu",
            "tensorflow-inference-eia:2.3.0-cpu", "huggingface-pytorch-inference-neuron:1.10.2",
            "huggingface-pytorch-inference-neuronx:2.1.2", "huggingface-pytorch-training-neuronx:2.1.2",
            "huggingface-vllm-inference-neuronx:0.11.0", "pytorch-training-neuron:1.11.0",
            "pytorch-training-neuronx:2.1.2", "pytorch-trcomp-training:1.13.1-gpu-py39",
            "huggingface-pytorch-trcomp-training:1.9.0", "huggingface-tensorflow-trcomp-training:2.6.3",
            "image-classification-neo:latest", "xgboost-neo:latest", "sagemaker-neo-mxnet:1.5.1-inf-py3",
            "sagemaker-neo-pytorch:1.5.1-inf-py3", "sagemaker-neo-tensorflow:1.15.0-inf-py3",
            "sagemaker-inference-mxnet:1.8-cpu-py3", "sagemaker-inference-pytorch:1.8-cpu-py3",
            "sagemaker-inference-tensorflow:1.15.3-cpu-py3",
        ),
        "large models": (
            "djl-inference:0.27.0-deepspeed0.12.6-cu121", "huggingface-pytorch-tgi-inference:2.3.0-tgi2.2.0",
            "stabilityai-pytorch-inference:2.0.1-sgm0.1.0", "tei:2.0.1-tei1.4.0", "tei-cpu:2.0.1-tei1.4.0",
            "sagemaker-tritonserver:23.12-py3", "smdistributed-modelparallel:2.0.1-gpu-py310-cu121",
        ),
        "toolkits": (
            "sagemaker-rl-mxnet:coach0.11-cpu-py3", "sagemaker-rl-tensorflow:coach0.11.1-cpu-py3",
            "sagemaker-rl-coach-container:coach-1.0.0-tf-cpu-py3", "sagemaker-rl-ray-container:ray-1.6.0-tf-cpu-py37",
            "sagemaker-rl-vw-container:vw-8.7.0-cpu",
        ),
        "the debugger": ("sagemaker-debugger-rules:latest", "detailed-profiler-processing:latest"),
        "geospatial": ("sagemaker-geospatial-v1-0:latest",),
    }.items()
    for name in names
}  # fmt: skip


@pytest.mark.parametrize(("address", "name"), RUNNING.items())
def test_aws_own_images_are_known(address: str, name: str) -> None:
    assert find(read(SHIPPED), address).name == name


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_images_that_cannot_run_are_refused_with_the_reason(address: str, reason: str) -> None:
    with pytest.raises(UnknownImageError, match=f"cannot run the image .*{reason}"):
        find(read(SHIPPED), address)


@pytest.mark.parametrize("name", ["pytorch/pytorch:2.3.1", "tensorflow/serving:2.14", "team/my-pytorch-training:1"])
def test_images_of_others_are_not_taken_for_those_of_aws(name: str) -> None:
    with pytest.raises(UnknownImageError, match="knows no environment"):
        find(read(SHIPPED), f"docker.io/{name}")


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


def test_xgboost_measures_what_aws_says_it_does() -> None:
    rule = find(known_rules(None), "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1")
    reader = MetricReader(rule.metric_definitions())

    reader.line("[12]#011train-rmse:0.51000#011validation-rmse:1.25000")

    assert {one["MetricName"]: one["Value"] for one in reader.final()} == {"train:rmse": 0.51, "validation:rmse": 1.25}
