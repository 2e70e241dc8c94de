"""What DeployModel asks SageMaker for: models, configurations, updates that are watched, scaling."""

from tests.lambdas.deployment_steps import HOURLY, converge, drain


def test_the_container_is_told_its_version(serving):
    (model,) = serving.models.values()
    assert model["PrimaryContainer"]["Environment"] == {"MODEL_VERSION": "1"}


def test_every_request_and_answer_is_captured_and_json_stays_json(serving):
    capture = serving.configs[serving.endpoint["config"]]["DataCaptureConfig"]
    assert capture["EnableCapture"]
    assert capture["InitialSamplingPercentage"] == 100
    assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert capture["DestinationS3Uri"] == "s3://bucket/data-capture"
    assert capture["CaptureContentTypeHeader"]["JsonContentTypes"] == ["application/json"]


def test_the_trial_has_one_server_and_captures_nothing(cloud):
    cloud.decide(cloud.register(), "Approved")
    converge(cloud, cloud.events.pop(), ENDPOINT_INSTANCE_COUNT="3")
    (config,) = cloud.configs.values()
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 1
    assert "DataCaptureConfig" not in config


def test_a_serverless_request_has_nothing_that_needs_instances(cloud):
    cloud.decide(cloud.register(), "Approved")
    network = {"ENDPOINT_SUBNET_IDS": "s-1,s-2", "ENDPOINT_SECURITY_GROUP_IDS": "sg-1", "ENDPOINT_KMS_KEY_ARN": "key"}
    drain(cloud, ENDPOINT_SERVERLESS_MEMORY_MB="2048", ENDPOINT_SERVERLESS_CONCURRENCY="7", **network)
    for config in cloud.configs.values():
        (variant,) = config["ProductionVariants"]
        assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 7}
        assert set(config) == {"EndpointConfigName", "ProductionVariants"}
    (model,) = cloud.models.values()
    assert not {"VpcConfig", "EnableNetworkIsolation"} & set(model)


def test_network_and_key_are_those_of_the_stack(cloud):
    cloud.decide(cloud.register(), "Approved")
    network = {"ENDPOINT_SUBNET_IDS": "s-1,s-2", "ENDPOINT_SECURITY_GROUP_IDS": "sg-1", "ENDPOINT_KMS_KEY_ARN": "key"}
    drain(cloud, **network)
    (model,) = cloud.models.values()
    assert model["VpcConfig"] == {"Subnets": ["s-1", "s-2"], "SecurityGroupIds": ["sg-1"]}
    config = cloud.configs[cloud.endpoint["config"]]
    assert config["KmsKeyId"] == config["DataCaptureConfig"]["KmsKeyId"] == "key"


def test_an_update_is_watched_by_alarms_when_a_bake_time_is_set(serving):
    baked = {"BAKE_SECONDS": "120", "ROLLBACK_ALARMS": "loadingbay-endpoint-5xx,loadingbay-endpoint-latency"}
    serving.decide(serving.register(), "Approved")
    drain(serving, **baked)
    policy = serving.updates[-1]["DeploymentConfig"]
    routing = policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 120}
    alarms = policy["AutoRollbackConfiguration"]["Alarms"]
    assert [alarm["AlarmName"] for alarm in alarms] == baked["ROLLBACK_ALARMS"].split(",")


def test_an_alarm_from_before_is_not_held_against_the_new_version(serving):
    serving.ringing = True
    serving.decide(serving.register(), "Approved")
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a")
    assert serving.live == 2
    assert "DeploymentConfig" not in serving.updates[-1]


def test_the_way_back_is_not_watched(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    serving.decide(2, "Rejected")
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a")
    assert serving.live == 1
    assert "DeploymentConfig" not in serving.updates[-1]


def test_of_several_servers_one_takes_requests_first(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a", ENDPOINT_INSTANCE_COUNT="2")
    routing = serving.updates[-1]["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert (routing["Type"], routing["CanarySize"]) == ("CANARY", {"Type": "INSTANCE_COUNT", "Value": 1})


def test_another_bake_time_deploys_nothing_anew(serving):
    before = dict(serving.endpoint)
    serving.events.append(HOURLY)
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a")
    assert serving.endpoint == before


def test_without_a_bake_time_an_update_is_not_watched(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving, BAKE_SECONDS="0", ROLLBACK_ALARMS="a")
    assert "DeploymentConfig" not in serving.updates[-1]


SCALES = {"ENDPOINT_MAX_INSTANCE_COUNT": "4", "ENDPOINT_INVOCATIONS_PER_INSTANCE": "600"}


def test_a_live_endpoint_scales_by_the_requests_that_each_instance_gets(cloud):
    cloud.decide(cloud.register(), "Approved")
    drain(cloud, **SCALES)
    assert cloud.scaling["target"]["ResourceId"] == "endpoint/loadingbay/variant/AllTraffic"
    assert (cloud.scaling["target"]["MinCapacity"], cloud.scaling["target"]["MaxCapacity"]) == (1, 4)
    tracking = cloud.scaling["policy"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 600


def test_an_update_keeps_the_number_of_instances_and_the_scaling(cloud):
    for _ in range(2):
        cloud.decide(cloud.register(), "Approved")
        drain(cloud, **SCALES)
    assert cloud.live == 2
    assert cloud.updates[-1]["RetainAllVariantProperties"] is True
    assert cloud.scaling is not None


def test_an_endpoint_that_is_no_longer_to_scale_does_not(serving):
    serving.events.append(HOURLY)
    drain(serving, **SCALES)
    assert serving.scaling is not None
    serving.events.append(HOURLY)
    drain(serving)
    assert serving.scaling is None
    assert serving.served == [1]


def test_a_serverless_endpoint_scales_without_us(cloud):
    cloud.decide(cloud.register(), "Approved")
    drain(cloud, ENDPOINT_SERVERLESS_MEMORY_MB="2048", **SCALES)
    assert cloud.scaling is None
