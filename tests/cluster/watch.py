"""Prints a line with the addresses of the nodes that Ray takes for alive, each time they change."""

import time

import ray

if __name__ == "__main__":
    while True:
        try:
            ray.init(log_to_driver=False, logging_level="ERROR")
            break
        except ConnectionError:  # the head is not there yet
            time.sleep(0.2)
    before: list[str] = []
    while True:
        now = sorted(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])
        if now != before:
            print("alive", *now, flush=True)
            before = now
        time.sleep(0.1)
