"""The data point that the alarm "deployment stuck" watches, in CloudWatch's embedded metric format."""

from __future__ import annotations

import json
import time


def count(needs_a_person: bool, endpoint_name: str) -> None:
    """Print metric NotConverged: 1 where an approved version does not come into service without a person, else 0.

    Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metric = {"Namespace": "LoadingBay", "Dimensions": [["Endpoint"]], "Metrics": [{"Name": "NotConverged"}]}
    emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}
    print(json.dumps({"_aws": emf, "Endpoint": endpoint_name, "NotConverged": int(needs_a_person)}))
