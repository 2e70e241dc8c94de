"""Objects of S3 that are put, copied, joined from parts, tagged and deleted while a local cloud is killed."""

from tests.e2e.faults.kill_kind import BUCKET, SMALL, VERSIONED, Clients, Kind, Value


def _object(bucket: str) -> Kind:
    """Objects that are put, copied, put in parts and deleted; in a versioned bucket a deletion leaves a marker."""

    def write(clients: Clients, name: str, old: Value, new: Value) -> None:
        s3 = clients("s3")
        if new is None:
            s3.delete_object(Bucket=bucket, Key=name)
            return
        body, way = new.encode() * 300, int(new) % 4
        if way == 0:
            s3.put_object(Bucket=bucket, Key=name, Body=body, Tagging=f"way={new}")
        elif way == 1:
            s3.put_object(Bucket=bucket, Key=f"source-{name}", Body=body)
            s3.copy_object(Bucket=bucket, Key=name, CopySource={"Bucket": bucket, "Key": f"source-{name}"})
        else:
            upload = s3.create_multipart_upload(Bucket=bucket, Key=name)["UploadId"]
            part = s3.upload_part(Bucket=bucket, Key=name, UploadId=upload, PartNumber=1, Body=body)["ETag"]
            s3.complete_multipart_upload(
                Bucket=bucket, Key=name, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]}
            )

    def read_body(clients: Clients, name: str) -> Value:
        answer = clients("s3").get_object(Bucket=bucket, Key=name)
        body = answer["Body"].read().decode()
        text = body[: len(body) // 300]
        if body != text * 300 or answer["ContentLength"] != len(body):
            return f"wrong bytes: {body[:50]}"
        if int(text) % 4 == 0:
            tags = clients("s3").get_object_tagging(Bucket=bucket, Key=name)["TagSet"]
            if tags != [{"Key": "way", "Value": text}]:
                return f"tags {tags} of {text}"
        return text

    return Kind(write, read_body)


def _tag(clients: Clients, name: str, old: Value, new: Value) -> None:
    s3 = clients("s3")
    if new is None:
        s3.delete_object_tagging(Bucket=BUCKET, Key=name)
        return
    s3.put_object_tagging(Bucket=BUCKET, Key=name, Tagging={"TagSet": [{"Key": "value", "Value": new}]})


def _read_tag(clients: Clients, name: str) -> Value:
    tags = clients("s3").get_object_tagging(Bucket=BUCKET, Key=name)["TagSet"]
    return tags[0]["Value"] if tags else None


def _lifecycle(clients: Clients, name: str, old: Value, new: Value) -> None:
    s3 = clients("s3")
    if new is None:
        s3.delete_bucket_lifecycle(Bucket=name)
        return
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": int(new)}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})


def _read_lifecycle(clients: Clients, name: str) -> Value:
    return str(clients("s3").get_bucket_lifecycle_configuration(Bucket=name)["Rules"][0]["Expiration"]["Days"])


KINDS: dict[str, Kind] = {
    "objects": _object(BUCKET),
    "versioned objects": _object(VERSIONED),
    "object tags": Kind(_tag, _read_tag),
    "lifecycles": Kind(_lifecycle, _read_lifecycle, values=SMALL),
}
