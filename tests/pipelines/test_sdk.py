"""What is done around the SDK so that a build takes little time."""

import pytest

from pipelines.sdk import ValidatedOnce


def test_a_configuration_is_validated_again_only_after_a_change():
    asked = []
    validate = ValidatedOnce(lambda config: asked.append(dict(config)))
    config: dict = {"SchemaVersion": "1.0"}
    validate(config)
    validate(dict(config))
    config["SageMaker"] = {}
    validate(config)
    assert asked == [{"SchemaVersion": "1.0"}, {"SchemaVersion": "1.0", "SageMaker": {}}]


def test_an_invalid_configuration_is_refused_each_time():
    def refuse(config):
        raise ValueError(config)

    validate = ValidatedOnce(refuse)
    for _ in range(2):
        with pytest.raises(ValueError, match="wrong"):
            validate("wrong")
