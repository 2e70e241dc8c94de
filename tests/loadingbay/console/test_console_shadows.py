"""A shadow on the console: begun after its plan, named on Now and in History, its differing photos shown."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

MARKUP = "<script>alert(1)</script>"
PHOTO = b"\x89PNG\r\n\x1a\n..."


def _with_shadow_to_be(served):
    """Version 1 serves the same classes as the new version."""
    served.sagemaker.metadata(1)["classes"] = "bicycle motorcycle"
    number = served.sagemaker.register()
    served.sagemaker.metadata(number)["classes"] = "bicycle motorcycle"
    return number


def test_a_shadow_is_begun_after_its_plan_with_its_share(served):
    number = _with_shadow_to_be(served)
    text = served.get(f"/versions/{number}/shadow").text
    assert "It is verified first." in text
    assert served.sagemaker.shadows() == []
    answer = served.post(f"/versions/{number}/shadow", {"comment": "a look", "share": "25"})
    assert answer.headers["location"] == f"/versions/{number}?decided=shadow"
    assert served.sagemaker.shadows() == [number]
    assert served.sagemaker.metadata(number)["shadow_share"] == "0.25"
    assert "Compare on live requests" in served.get(f"/versions/{number}").text


def test_what_cannot_be_a_shadow_is_refused_with_why(served):
    assert "is the one in service" in served.get("/versions/1/shadow").text
    number = _with_shadow_to_be(served)
    answer = served.post(f"/versions/{number}/shadow", {"comment": "", "share": "0"})
    assert (answer.status_code, served.sagemaker.shadows()) == (400, [])
    assert "is no shadow of the endpoint" in served.get(f"/versions/{number}/live").text


def _shadowed(served):
    """Version 2 is the shadow of version 1."""
    number = _with_shadow_to_be(served)
    served.sagemaker.models["n"] = {"PrimaryContainer": {"ModelPackageName": served.sagemaker.arn(number)}}
    served.sagemaker.configs["s"] = {
        "ProductionVariants": [{"ModelName": "m", "VariantName": "AllTraffic"}],
        "ShadowProductionVariants": [{"ModelName": "n", "VariantName": "Shadow"}],
    }
    served.sagemaker.endpoints["loadingbay"] |= {"config": "s", "changed": datetime.now(UTC) - timedelta(minutes=1)}
    return number


def _answered(served, variant, label, photo=PHOTO, name=MARKUP):
    """A captured answer of a variant to a photo."""
    now = datetime.now(UTC)
    said = json.dumps({"predictions": [{"label": label, "confidence": 0.9}]})
    capture = {
        "endpointInput": {"data": base64.b64encode(photo).decode(), "encoding": "BASE64"},
        "endpointOutput": {"data": said, "encoding": "JSON"},
    }
    about = {"eventId": name, "inferenceId": name, "inferenceTime": now.isoformat()}
    body = json.dumps({"captureData": capture, "eventMetadata": about}).encode()
    key = f"data-capture/loadingbay/{variant}/{now:%Y/%m/%d/%H}/{hashlib.sha256(body).hexdigest()}.jsonl"
    served.target.client("s3").put_object(Bucket="data", Key=key, Body=body)


def test_photos_that_are_answered_differently_are_shown(served):
    number = _shadowed(served)
    _answered(served, "AllTraffic", "bicycle")
    _answered(served, "Shadow", "motorcycle")
    address = f"/versions/{number}/live/{hashlib.sha256(PHOTO).hexdigest()}/photo"
    assert served.get(address).content == PHOTO
    text = served.get(f"/versions/{number}/live").text
    assert f'src="{address}"' in text
    assert "1: bicycle 0.900" in text
    assert MARKUP not in text


def test_what_is_no_differing_photo_is_not_sent(served):
    number = _shadowed(served)
    same, text = b"\x89PNG\r\n\x1a\nsame", b"<svg onload='alert(1)'/>"
    for photo, shadow in ((same, "bicycle"), (text, "motorcycle")):
        _answered(served, "AllTraffic", "bicycle", photo, photo.hex())
        _answered(served, "Shadow", shadow, photo, photo.hex())
    for photo, status in ((same, 404), (text, 415)):
        assert served.get(f"/versions/{number}/live/{hashlib.sha256(photo).hexdigest()}/photo").status_code == status


def test_now_and_history_name_the_shadow(served):
    number = _shadowed(served)
    assert f'href="/versions/{number}/live"' in served.get("/").text
    text = served.get("/history").text
    assert f"with {number} as shadow" in text
    address = text.partition('href="/history/')[2].partition('"')[0]
    assert f"Version {number}</a> was its shadow" in served.get(f"/history/{address}").text
