"""A function of @step runs with the Python and the SDK that have pickled it."""

from localcloud.images.catalog import SHIPPED, Rule, find, read
from localcloud.images.functions import for_function

RULE = Rule("python", ".*", ("pandas==2.3.3", "sagemaker==2.257.7"))
COMMAND = ["/bin/bash", "job_driver.sh", "--client_python_version", "3.10", "--client_sagemaker_pysdk_version"]


def test_it_has_the_versions_of_its_client() -> None:
    rule = for_function(RULE, [*COMMAND, "3.27.0"])
    assert (rule.python, rule.requirements) == ("3.10", ("pandas==2.3.3", "sagemaker==3.27.0"))


def test_other_jobs_have_those_of_the_image() -> None:
    assert for_function(RULE, ["train", "--client_python_version"]) is RULE
    assert for_function(RULE, [*COMMAND, "3.27.0 --index-url http://elsewhere"]) is RULE


def test_an_image_without_the_sdk_stays_as_it_is() -> None:
    rule = Rule("own", ".*", ("pandas==2.3.3",))
    assert for_function(rule, [*COMMAND, "3.27.0"]) is rule


def test_the_shipped_python_image_holds_the_sdk() -> None:
    rule = find(read(SHIPPED), "236514542706.dkr.ecr.us-west-2.amazonaws.com/sagemaker-base-python-310:1.0")
    assert "sagemaker==3.27.0" in for_function(rule, [*COMMAND, "3.27.0"]).requirements
