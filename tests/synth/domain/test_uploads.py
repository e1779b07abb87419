"""Unfinished uploads: the store that a URI names is the same for pyarrow and for boto3."""

import pytest

from synth.domain.storage import filesystem
from synth.domain.uploads import _client, abort_uploads


@pytest.mark.parametrize(
    ("query", "endpoint"),
    [
        ("region=eu-west-1", "https://s3.eu-west-1.amazonaws.com"),
        ("region=eu-west-1&endpoint_override=127.0.0.1:9000&scheme=http", "http://127.0.0.1:9000"),
        ("region=auto&endpoint_override=https://store.example", "https://store.example"),
    ],
)
def test_a_uri_names_the_same_store_for_both_libraries(query, endpoint):
    uri = f"s3://key:se%2Fcret@bucket/hands?{query}"
    client, (fs, path) = _client(uri), filesystem(uri)
    assert path == "bucket/hands" and client.meta.region_name == fs.region
    assert client.meta.endpoint_url == endpoint
    used = client._request_signer._credentials
    assert (used.access_key, used.secret_key) == ("key", "se/cret")


def test_a_disk_has_no_unfinished_uploads(tmp_path):
    assert abort_uploads(str(tmp_path)) == abort_uploads(f"file://{tmp_path}") == 0
