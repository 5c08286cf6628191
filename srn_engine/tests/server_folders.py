"""What the tests of sent folders share: hashes, manifests, and the requests that send."""

import hashlib
import json

import jsonschema

from srn_engine.server.protocol import MAX_PIECE
from srn_engine.tests.server_harness import (
    SCHEMA,
    RawClient,
)

MANIFEST = jsonschema.Draft202012Validator(SCHEMA.schema | {"$ref": "#/$defs/manifest", "oneOf": [{}]})


def known(data: bytes) -> dict:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def manifest_of(files: dict[str, bytes]) -> bytes:
    entries = [{"path": path} | known(data) for path, data in files.items()]
    return json.dumps({"format": "srn-folder", "version": 1, "files": entries}).encode()


def send(client: RawClient, data: bytes, start: int = 0, end: int | None = None) -> None:
    """Sends a file's bytes from `start` to `end` in pieces, which the engine has to take."""
    end = len(data) if end is None else end
    for at in range(start, end, MAX_PIECE) or [0]:
        piece = data[at : min(end, at + MAX_PIECE)]
        assert client.send_piece(piece, **known(data), offset=at)["result"] == {"offset": at + len(piece)}


def missing(client: RawClient, *datas: bytes) -> dict[str, int]:
    answer = client.ask("files.offer", files=[known(data) for data in datas])
    return {file["sha256"]: file["offset"] for file in answer["missing"]}
