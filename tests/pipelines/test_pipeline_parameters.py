"""The table of parameters: what is allowed, what is refused and how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.parameters import BY_NAME, PARAMETERS, as_markdown, as_request


def test_every_default_is_allowed_by_its_own_rule():
    for parameter in PARAMETERS:
        if parameter.default is not None:
            assert parameter.parse(parameter.default) == parameter.default


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("Epochs", "0", "--epochs 0: must be 1 to 1,000"),
        ("Epochs", "many", "--epochs many: must be a whole number, 1 to 1,000"),
        ("Epochs", "1.5", "--epochs 1.5: must be a whole number"),
        ("Epochs", "1_0", "--epochs 1_0: must be a whole number, 1 to 1,000"),
        ("Epochs", "\u0661\u0662", "--epochs \u0661\u0662: must be a whole number, 1 to 1,000"),
        ("LearningRate", "0.0_1", "--learning-rate 0.0_1: must be a number"),
        ("LearningRate", "\u0660.\u0661", "must be a number, 1e-06 to 10"),
        ("CostOfWrongBay", "bicycle=1_0", "1_0 is not a number from 0 to 1,000,000"),
        ("LearningRate", "-1", "--learning-rate -1: must be 1e-06 to 10"),
        ("LearningRate", "nan", "--learning-rate nan: must be a number"),
        ("TargetPrecision", "1", "--target-precision 1: must be 0.5 to 0.999"),
        ("Classes", "bicycle", "--classes bicycle: must be two or more different names"),
        ("Classes", "bicycle,bicycle", "two or more different names"),
        ("Classes", "bicycle,../x", "two or more different names"),
        ("CostOfWrongBay", "nan", "--cost-of-wrong-bay nan: nan is not a number from 0 to 1,000,000; it must be none"),
        ("CostOfWrongBay", "5,bicycle=-1", "-1 is not a number"),
        ("CostOfWrongBay", "bicycle=1,bicycle=2", "bicycle comes twice"),
        ("CostOfReview", "-1", "--cost-of-review -1: must be 0 to 1,000,000"),
        ("CostOfReview", "nan", "--cost-of-review nan: must be a number"),
        ("TrainingInstanceType", "c5.xlarge", "--training-instance-type c5.xlarge: must be an instance type"),
        ("InputData", "/tmp/photos", "must be an S3 address"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name_value_and_range(name, text, says):
    with pytest.raises(ValueError) as refused:
        BY_NAME[name].parse(text)
    assert says in str(refused.value)


@given(st.integers())
def test_a_seed_is_taken_exactly_when_it_is_in_range(seed):
    parameter = BY_NAME["Seed"]
    if parameter.minimum <= seed <= parameter.maximum:
        assert parameter.parse(str(seed)) == seed
    else:
        with pytest.raises(ValueError, match="--seed"):
            parameter.parse(str(seed))


def test_a_request_has_the_given_values_as_text_in_the_tables_order():
    request = as_request(
        {
            "Epochs": 3,
            "InputData": "s3://bucket/data/x/",
            "Champion": "s3://bucket/c",
            "LabelledPhotos": "s3://bucket/l",
        }
    )
    assert request == [
        {"Name": "InputData", "Value": "s3://bucket/data/x/"},
        {"Name": "Champion", "Value": "s3://bucket/c"},
        {"Name": "LabelledPhotos", "Value": "s3://bucket/l"},
        {"Name": "Epochs", "Value": "3"},
    ]


REQUIRED = {"InputData": "s3://bucket/d/", "Champion": "s3://bucket/c", "LabelledPhotos": "s3://bucket/l"}


@pytest.mark.parametrize(
    ("wrong_bay", "classes", "says"),
    [
        ("lorry=2,5", "bicycle,motorcycle", "there is no class lorry among bicycle,motorcycle"),
        ("bicycle=2", "bicycle,motorcycle", "there is no cost for motorcycle"),
        ("bicycle=2,motorcycle=3", "bicycle,motorcycle,lorry", "there is no cost for lorry"),
    ],
)
def test_costs_that_do_not_fit_the_classes_are_refused(wrong_bay, classes, says):
    values = {**REQUIRED, "CostOfWrongBay": wrong_bay, "Classes": classes}
    with pytest.raises(ValueError, match=f"--cost-of-wrong-bay {wrong_bay}: {says}"):
        as_request(values)


def test_costs_by_class_go_into_the_request_as_they_were_written():
    request = as_request({**REQUIRED, "CostOfWrongBay": "bicycle=2,motorcycle=10", "CostOfReview": "0.5"})
    assert {"Name": "CostOfWrongBay", "Value": "bicycle=2,motorcycle=10"} in request
    assert {"Name": "CostOfReview", "Value": "0.5"} in request


def test_a_request_without_a_required_parameter_is_refused():
    with pytest.raises(ValueError, match="InputData has no default"):
        as_request({"Epochs": 3})


def test_a_request_with_an_unknown_parameter_names_those_there_are():
    with pytest.raises(ValueError, match=r"unknown pipeline parameter Epoch: there are .*Epochs"):
        as_request({"Epoch": 3, "InputData": "s3://bucket/x"})


def test_the_page_in_the_docs_is_what_the_table_says(request):
    page = request.config.rootpath / "docs" / "parameters.md"
    assert page.read_text() == as_markdown(), "run: python -m pipelines parameters > docs/parameters.md"


def test_the_page_names_every_parameter_with_its_option():
    page = as_markdown()
    for parameter in PARAMETERS:
        assert f"| `{parameter.name}` |" in page
        assert not parameter.option or f"`{parameter.flag}`" in page
