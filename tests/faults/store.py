"""moto's S3-compatible server, run as a script: python -m tests.faults.store -H 127.0.0.1 -p PORT.

It refuses the second part of any upload whose key says "refused". Each answer waits for SYNTHMARK_TEST_DELAY_S.
"""

import os
import sys
import time
from typing import Any

from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import S3Backend
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

_upload_part = S3Backend.upload_part
_run_wsgi = WSGIRequestHandler.run_wsgi


def _refuse(backend: Any, bucket_name: str, multipart_id: str, part_id: int, value: bytes) -> Any:
    key = backend.get_bucket(bucket_name).multiparts[multipart_id].key_name
    if "refused" in key and int(part_id) == 2:
        raise S3AccessDeniedError
    return _upload_part(backend, bucket_name, multipart_id, part_id, value)


def _wait(handler: WSGIRequestHandler) -> None:
    time.sleep(float(os.environ.get("SYNTHMARK_TEST_DELAY_S", "0")))
    _run_wsgi(handler)


if __name__ == "__main__":
    WSGIRequestHandler.run_wsgi = _wait  # type: ignore[method-assign]
    S3Backend.upload_part = _refuse  # type: ignore[method-assign]
    main(sys.argv[1:])
