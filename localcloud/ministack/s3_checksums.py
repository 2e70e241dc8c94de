"""Checksums of objects that were uploaded in parts: of the parts' checksums, or of the whole object.

Source: Amazon S3 User Guide, "Checking object integrity", "Full object and composite checksum types".
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence

from localcloud.ministack.crc import POLYNOMIALS, power_of_x, product

FULL, COMPOSITE = "FULL_OBJECT", "COMPOSITE"


def type_of_checksum(headers: Mapping[str, str], algorithm: str | None) -> str | None:
    """The type of the checksum that an upload gets: as CreateMultipartUpload says, else the algorithm's default."""
    if algorithm is None:
        return None
    return headers.get("x-amz-checksum-type", FULL if algorithm == "CRC64NVME" else COMPOSITE).upper()


def wrong_type_of_checksum(headers: Mapping[str, str]) -> str | None:
    """Why CreateMultipartUpload may not ask for this type of checksum; None if it may."""
    kind = headers.get("x-amz-checksum-type", "").upper()
    name = headers.get("x-amz-checksum-algorithm", "")
    if kind and not name:
        return "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
    if (kind == FULL and name.upper() not in POLYNOMIALS) or (kind == COMPOSITE and name.upper() == "CRC64NVME"):
        return f"The {kind} checksum type cannot be used with the {name.lower()} checksum algorithm."
    return None if kind in ("", FULL, COMPOSITE) else "Value for x-amz-checksum-type header is invalid."


def of_parts(
    algorithm: str, kind: str, parts: Sequence[tuple[str, int]], compute: Callable[[str, bytes], str | None]
) -> str:
    """The checksum in base64 of an object whose parts have these (checksum in base64, bytes).

    A composite one is `compute(algorithm, ...)` of the parts' checksums, with their number behind it.
    """
    if kind == COMPOSITE:
        return f"{compute(algorithm, b''.join(b64decode(checksum) for checksum, _ in parts))}-{len(parts)}"
    bits, polynomial = POLYNOMIALS[algorithm]
    whole = 0
    for checksum, size in parts:
        shift = power_of_x(8 * size, bits, polynomial)
        whole = product(shift, whole, bits, polynomial) ^ int.from_bytes(b64decode(checksum), "big")
    return b64encode(whole.to_bytes(bits // 8, "big")).decode()
