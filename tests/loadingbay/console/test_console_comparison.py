"""Versions side by side on a page: figures with intervals, what differs, and what mistakes would cost."""

import json

import pytest

from tests.loadingbay.console.test_console_pages import MARKUP, _escaped


def _evaluated(desk, number, right, **metadata):
    """A version's evaluation in S3, of 40 test photos of which so many were answered right."""
    correct = [n < right for n in range(40)]
    document = {
        "gate": {"accuracy": right / 40},
        "confidence_intervals": {"accuracy": [right / 40 - 0.1, right / 40 + 0.05]},
        "confidences": [0.5 + n / 100 for n in range(40)],
        "correct": correct,
        "test": {"count": 40},
        "calibration": {"nll": 0.4, "ece": 0.1, "bins": [{"count": 40, "confidence": 0.7, "accuracy": right / 40}]},
        "risk_coverage": {"aurc": 0.02, "coverage": [0.5, 1.0], "risk": [0.0, 1 - right / 40]},
        "multiclass_classification_metrics": {"confusion_matrix": {"bicycle": {"bicycle": right, "motorcycle": 1}}},
        "metadata": {"data_sha256": "d", "classes": "bicycle motorcycle"},
    }
    s3 = desk.target.client("s3")
    s3.put_object(Bucket="data", Key=f"v{number}/evaluation.json", Body=json.dumps(document).encode())
    for name, said in {
        "labels": {"a.png": "bicycle", "b.png": "bicycle"},
        "answers": {"answers": {"a.png": {"label": f"answer-{number}", "confidence": 0.7},
                                "b.png": {"label": "bicycle", "confidence": 0.9}}},
    }.items():  # fmt: skip
        s3.put_object(Bucket="data", Key=f"v{number}/verification/{name}.json", Body=json.dumps(said).encode())
    statistics = {"Statistics": {"ContentType": "application/json", "S3Uri": f"s3://data/v{number}/evaluation.json"}}
    about = {"data_sha256": "d", "threshold": "0.7", "approved_by": "arn:x:user/ada"}
    origin = f"arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/run{number}"
    return desk.sagemaker.register(
        ModelMetrics={"ModelQuality": statistics},
        MetadataProperties={"GeneratedBy": origin},
        ApprovalDescription=f"said {MARKUP}",
        CustomerMetadataProperties=about | metadata,
    )


def _compared(desk):
    """Two evaluated versions, of runs with different parameters."""
    for number, (right, code) in enumerate(((20, "c1"), (38, "c2")), 1):
        _evaluated(desk, number, right, code_sha256=code)

    def parameters(PipelineExecutionArn):  # noqa: N803 - AWS names its arguments so
        return {"PipelineParameters": [{"Name": "Epochs", "Value": PipelineExecutionArn[-1]}]}

    desk.sagemaker.answer("ListPipelineParametersForExecution", parameters)


@pytest.mark.parametrize(
    "said",
    [
        "same photos: 18 won, 0 lost, McNemar p =",  # whether a difference is more than noise
        "calibration error (ECE)</th>",
        "Reliability: share that was right",
        "Risk and coverage: share of wrong",
        "Cost of a thousand photos against the threshold",
        "Confusion: truth down",
        "<td>user/ada</td>",  # who approved
        '<th scope="row">code_sha256</th>',  # code and parameters that differ
        '<th scope="row">Epochs</th>',
        "1: answer-1 0.700",  # photos on which they disagree
        "2: answer-2 0.700",
    ],
)
def test_versions_side_by_side_show(desk, said):
    _compared(desk)
    text = desk.get("/versions/compare?v=1&v=2").text.replace(' class="wrap"', "")
    assert said in text
    assert "b.png" not in text, "they agree on it"
    _escaped(text)


def test_every_figure_side_by_side_has_its_interval(desk):
    _compared(desk)
    rows = desk.get("/versions/compare?v=1&v=2").text.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:-1]
    assert len(rows) == 4
    assert all(row.count('class="interval"') >= 3 for row in rows), rows


def test_costs_of_mistakes_change_the_curve(desk):
    _compared(desk)
    one, other = (desk.get(f"/versions/compare?v=1&v=2&wrong={cost}").text for cost in (10, 100))
    assert one.count("<polyline") == other.count("<polyline")
    assert 'value="100"' in other
    assert desk.get("/versions/compare?v=1&v=2&wrong=x").status_code == 400
