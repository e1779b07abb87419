"""Uploads in parts that nobody will finish: an S3-compatible store shows no object of them, and keeps their parts.

pyarrow 25 sends more than 10 MiB up in parts and can neither list nor abort such an upload (apache/arrow, issue 40502):
one whose writer died, or one of whose parts failed, would lie in the bucket for ever. boto3 can do both.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def abort_uploads(uri: str, name: str = "") -> int:
    """How many unfinished uploads of temporary files (storage.py) were aborted: of those named `name…` under `uri`.

    Only s3:// has such uploads. Raises: OSError where the store does not allow to list or abort them.
    """
    if not uri.startswith("s3://"):
        return 0
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = urlsplit(uri).hostname, f"{urlsplit(uri).path}/{name}".lstrip("/")
    try:
        client = _client(uri)
        listed = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        ours = [upload for page in listed for upload in page.get("Uploads", ()) if upload["Key"].endswith(".tmp")]
        for upload in ours:
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except (BotoCoreError, ClientError) as error:
        raise OSError(f"unfinished uploads under {prefix} of bucket {bucket} cannot be removed: {error}") from error
    return len(ours)


def _client(uri: str) -> Any:
    """boto3's client of the store that a URI in pyarrow's spelling names."""
    import boto3
    from botocore.config import Config

    parts = urlsplit(uri)
    query = dict(parse_qsl(parts.query))
    endpoint = query.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{query.get('scheme', 'https')}://{endpoint}"
    return boto3.client(
        "s3",
        region_name=query.get("region"),
        endpoint_url=endpoint,
        aws_access_key_id=unquote(parts.username) if parts.username else None,
        aws_secret_access_key=unquote(parts.password) if parts.password else None,
        config=Config(s3={"addressing_style": "path" if endpoint else "auto"}),  # as pyarrow does
    )
