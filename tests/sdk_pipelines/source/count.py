"""The function of the Lambda step."""


def handler(event: dict[str, object], _context: object) -> dict[str, object]:
    doubled = int(str(event["count"])) * int(str(event["factor"]))
    return {"statusCode": 200, "verdict": "enough" if doubled > 5 else "too few", "doubled": doubled}
