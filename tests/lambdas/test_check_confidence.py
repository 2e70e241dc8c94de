"""CheckConfidence: the rule, the routes, and what a refusal says."""

import contextlib
import itertools
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.check_confidence import app
from tests.lambdas.lambda_cases import ROOT

PHOTO = {"bucket": "b", "key": "a.png", "content_type": "image/png", "size": 10}
ROUTE: app.Route = {"loading_bay": "Bay 1", "order_range": {"from_km": 0, "to_km": 5}}


def event(confidence, threshold, label="bicycle", **more):
    prediction = {"label": label, "confidence": confidence, "probabilities": {}, "threshold": threshold, **more}
    return {"photo": PHOTO, "inference_id": "run-1", "prediction": prediction}


def test_a_sure_bicycle_gets_its_bay_and_its_order_range():
    assert app.check(event(0.98, 0.83), {"bicycle": ROUTE}) == {
        "photo": PHOTO,
        "inference_id": "run-1",
        "vehicle": "bicycle",
        "confidence": 0.98,
        "threshold": 0.83,
        **ROUTE,
    }


def test_a_confidence_below_the_threshold_is_refused_with_both_figures():
    with pytest.raises(app.ConfidenceThresholdNotMet) as caught:
        app.check(event(0.61, 0.83), {"bicycle": ROUTE})
    assert json.loads(str(caught.value)) == {
        "message": "bicycle at confidence 0.6100 is below the threshold 0.8300",
        "vehicle": "bicycle",
        "confidence": 0.61,
        "threshold": 0.83,
    }


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_photo_is_routed_if_and_only_if_it_reaches_the_threshold(confidence, threshold):
    try:
        app.check(event(confidence, threshold), {"bicycle": ROUTE})
        routed = True
    except app.ConfidenceThresholdNotMet:
        routed = False
    assert routed == (confidence >= threshold)


def test_a_threshold_above_one_accepts_nothing():
    with pytest.raises(app.ConfidenceThresholdNotMet, match=r"below the threshold 1\.0100"):
        app.check(event(1.0, 1.01), {"bicycle": ROUTE})


def inside(figure, threshold, confidence=0.98):
    return event(confidence, 0.83, in_distribution=figure, in_distribution_threshold=threshold)


SEVERAL = {"in_distribution": 0.0, "in_distribution_threshold": 0.5, "several_classes": True}


def test_a_photo_of_several_kinds_of_vehicles_is_refused_by_that_name():
    with pytest.raises(app.SeveralVehicles) as caught:
        app.check(event(0.98, 0.83, **SEVERAL), {"bicycle": ROUTE})
    said = json.loads(str(caught.value))
    assert said == {"message": "the photo shows vehicles of different kinds, each in a half", "vehicle": "bicycle"}


@pytest.mark.parametrize("confidence", [0.98, 0.61])
def test_a_photo_of_something_else_is_refused_at_any_confidence(confidence):
    with pytest.raises(app.NotAVehicleWeKnow) as caught:
        app.check(inside(0.2, 0.4, confidence), {"bicycle": ROUTE})
    assert json.loads(str(caught.value)) == {
        "message": "at 0.2000, below 0.4000, the photo shows none of the known vehicles",
        "vehicle": "bicycle",
        "in_distribution": 0.2,
        "threshold": 0.4,
    }


def test_a_known_vehicle_that_is_not_sure_is_refused_for_its_confidence():
    with pytest.raises(app.ConfidenceThresholdNotMet):
        app.check(inside(0.4, 0.4, confidence=0.61), {"bicycle": ROUTE})


def test_a_photo_that_reaches_both_thresholds_is_routed():
    assert app.check(inside(0.4, 0.4), {"bicycle": ROUTE})["vehicle"] == "bicycle"


def test_an_unsure_vehicle_without_a_route_is_refused_for_its_confidence():
    with pytest.raises(app.ConfidenceThresholdNotMet):
        app.check(event(0.5, 0.83, "tractor"), {"bicycle": ROUTE})


def test_a_sure_vehicle_without_a_route_is_named():
    with pytest.raises(app.RouteNotConfigured, match=r'no loading bay for "tractor": add it to .*routes.json'):
        app.check(event(0.99, 0.83, "tractor"), {"bicycle": ROUTE})


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"prediction": None},
        event(None, 0.5),
        event("0.9", 0.5),
        event(1.5, 0.5),
        event(float("nan"), 0.5),
        inside(1.5, 0.5),
        inside(float("nan"), 0.5),
        inside(None, 0.5),
        inside(0.5, "0.5"),
    ],
)
def test_a_prediction_without_sound_figures_is_refused(bad):
    with pytest.raises(app.InputNotUnderstood):
        app.check(bad, {"bicycle": ROUTE})


def test_the_routes_that_ship_send_bicycles_nearer_than_motorcycles():
    assert app.ROUTES["bicycle"]["order_range"]["to_km"] <= app.ROUTES["motorcycle"]["order_range"]["from_km"]


def test_the_routes_that_ship_do_not_overlap():
    reaches = sorted((r["order_range"]["from_km"], r["order_range"]["to_km"]) for r in app.ROUTES.values())
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(reaches))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "one entry for each vehicle"),
        ("{}", "one entry for each vehicle"),
        ('{"bicycle": {}}', '"bicycle": expected loading_bay'),
        ('{"bicycle": {"loading_bay": " ", "order_range": {"from_km": 0, "to_km": 5}}}', "must be a name"),
        ('{"bicycle": {"loading_bay": "1", "order_range": {"from_km": 0}}}', "needs from_km and to_km"),
        ('{"bicycle": {"loading_bay": "1", "order_range": {"from_km": 5, "to_km": 5}}}', "0 <= from_km < to_km"),
        ('{"bicycle": {"loading_bay": "1", "order_range": {"from_km": -1, "to_km": 5}}}', "0 <= from_km < to_km"),
        ('{"bicycle": {"loading_bay": "1", "order_range": {"from_km": "0", "to_km": 5}}}', "0 <= from_km < to_km"),
        ('{"bicycle": {"loading_bay": "1", "order_range": {"from_km": false, "to_km": 5}}}', "0 <= from_km < to_km"),
    ],
)
def test_broken_routes_are_refused_with_the_vehicle_and_the_field(text, said):
    with pytest.raises(app.RoutesNotValid, match=said):
        app.read_routes(text)


@pytest.mark.parametrize(
    ("photo", "counted"),
    [
        (event(0.9, 0.5), (0, 0, 0)), (event(0.1, 0.5), (1, 0, 0)), (inside(0.1, 0.5), (0, 1, 0)),
        (event(0.9, 0.5, **SEVERAL), (0, 0, 1)),
    ],
)  # fmt: skip
def test_every_photo_is_counted_in_the_embedded_metric_format(capsys, photo, counted):
    with contextlib.suppress(app.ConfidenceThresholdNotMet, app.NotAVehicleWeKnow, app.SeveralVehicles):
        app.handler(photo, None)
    metric = json.loads(capsys.readouterr().out)
    names = [one["Name"] for one in metric["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert names == ["BelowThreshold", "NotAVehicleWeKnow", "SeveralVehicles"]
    assert tuple(metric[name] for name in names) == counted
    assert metric["Application"] == "loadingbay"


def test_the_function_starts_without_any_sdk():
    code = "import sys, app; assert not {'boto3', 'botocore', 'aws_lambda_powertools'} & set(sys.modules)"
    folder = ROOT / "lambdas" / "check_confidence"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=120)
