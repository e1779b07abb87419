"""A Blender child for tests that renders nothing and takes its time: what is started in place of blender.serve."""

import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

HANGS = 666.0  # a figure whose first coordinate is this one is never answered


def serve(connection: Connection, folder: str, size: tuple[int, int], *_: Any) -> None:
    """Answers with as many nothings; `folder` (given as the engine) holds seconds for a figure and for nothing."""
    import numpy as np

    with (Path(folder) / "starts").open("a") as log:
        log.write("start\n")
    connection.send("ready")
    while True:
        try:
            vertices = connection.recv()
        except EOFError:
            return
        figure_s, nothing_s = map(float, (Path(folder) / "seconds").read_text().split())
        shown = (vertices[:, 0, 2] < 1e4).any()
        time.sleep(3600 if (vertices[:, 0, 0] == HANGS).any() else figure_s if shown else nothing_s)
        connection.send(np.zeros((len(vertices), *size), np.float32))
