"""A whole Ray on this machine with the inference tier on it: `python -m tests.cluster.ray_tier PORT`, until SIGTERM.

Small on purpose (CI has two cores): logical CPUs for the replicas, a small object store, no dashboard, loopback only.
"""

from __future__ import annotations

import signal
import sys
import threading

import ray
from ray import serve

LOGICAL_CPUS = 8
OBJECT_STORE_BYTES = 80_000_000


def main(port: int) -> None:
    ray.init(
        address="local",
        num_cpus=LOGICAL_CPUS,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    from inference.ray_app import app

    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    serve.run(app)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # last: Ray sets handlers of its own
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
