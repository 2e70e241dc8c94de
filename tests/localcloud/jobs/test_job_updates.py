"""UpdateTrainingJob, and the filter of warm pools, of which there are none."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import Kit


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def test_no_job_has_a_warm_pool(kit: Kit) -> None:
    name = kit.training_job("")
    assert kit.sm.list_training_jobs(NameContains=name, WarmPoolStatusEquals="Available")["TrainingJobSummaries"] == []
    with pytest.raises(ClientError, match="no warm pool"):
        kit.sm.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 60})


def test_the_profiler_of_a_running_job_is_changed(kit: Kit) -> None:
    name = kit.training_job("import time; time.sleep(60)")
    kit.sm.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": True})
    assert kit.sm.describe_training_job(TrainingJobName=name)["ProfilingStatus"] == "Disabled"
    kit.sm.stop_training_job(TrainingJobName=name)
    kit.wait_job(name, "training")
    with pytest.raises(ClientError, match="is Stopped: only a running one is updated"):
        kit.sm.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": False})
