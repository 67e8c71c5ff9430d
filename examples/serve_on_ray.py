"""The server on a cluster, by Ray Serve: a replica a GPU behind one address, each request to one that is less busy.

pip install -e '.[serve]' 'ray[serve]>=2.60,<3'
serve run examples.serve_on_ray:captions model=THUDM/cogvlm2-llama3-caption replicas=8 keys=keys.txt

Clients use http://HOST:8000/v1. Without `keys`, only programs of the host that they ask are answered.
"""

from typing import Any

from ray import serve
from ray.serve import Application

from framescribe.captioner import Captioner
from framescribe.serving.app import create_app
from framescribe.serving.gate import read_keys
from framescribe.serving.settings import ServerSettings

IN_WORK = 512  # of a replica; Ray Serve's own default of 5 would leave the engine nearly idle


def captions(arguments: dict[str, str]) -> Application:
    """What `serve run` starts; `gpus=0` puts replicas on CPUs."""
    keys = read_keys(arguments["keys"]) if "keys" in arguments else ()

    def replica() -> Any:
        captioner = Captioner.from_pretrained(arguments.get("model", "tiny"))
        return create_app(captioner, ServerSettings(max_requests=IN_WORK), keys)

    deployment = serve.deployment(
        serve.ingress(replica)(),
        name="captions",
        num_replicas=int(arguments.get("replicas", 1)),
        max_ongoing_requests=IN_WORK,
        ray_actor_options={"num_gpus": float(arguments.get("gpus", 1))},
    )
    return deployment.bind()
