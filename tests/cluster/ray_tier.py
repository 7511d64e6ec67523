"""Deploy the inference tier on a running Ray cluster: ``python -m tests.cluster.ray_tier ADDRESS PORT``.

As with KubeRay, the tier keeps running after this program ends.
"""

from __future__ import annotations

import sys

import ray
from ray import serve


def main(address: str, port: int) -> None:
    ray.init(address=address, log_to_driver=False)
    from inference.ray_app import app

    # Each node has a proxy, so the worker's proxy serves while the head is down. On one machine, they share the port.
    serve.start(proxy_location="EveryNode", http_options={"host": "127.0.0.1", "port": port})
    serve.run(app)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
