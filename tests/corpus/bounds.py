"""What reading one posted graph costs, measured in a process of its own: python -m tests.corpus.bounds FILE [gzip]

The body goes through the server's own middleware and reader, without a database. One line of JSON tells the status, the
code of the first error, and by how many megabytes the peak of memory rose above that before.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import django
from django.http import HttpRequest, HttpResponse


@dataclass(frozen=True)
class Cost:
    status: int
    code: str
    edges: int
    megabytes: int


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def read(request: HttpRequest) -> HttpResponse:
    from workflows.api.workflows import read_graph
    from workflows.graph import InvalidGraph

    try:
        graph = read_graph(request.read())
    except InvalidGraph as error:
        return HttpResponse(json.dumps({"code": error.every[0].code}), status=400)
    return HttpResponse(json.dumps({"edges": graph.edge_count}), status=201)


def measure(body: bytes, is_packed: bool) -> Cost:
    from django.test import RequestFactory

    from workflows.middleware import GzipRequestMiddleware

    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    request = RequestFactory(headers=headers).post("/api/v1/workflows/", body, content_type="application/json")
    handle, before = GzipRequestMiddleware(read), peak()
    answer = handle(request)
    told = json.loads(answer.content)
    return Cost(answer.status_code, told.get("code", ""), told.get("edges", 0), peak() - before)


def main() -> None:
    django.setup()
    import workflows.api.workflows  # noqa: F401 - what is loaded once is not the body's cost

    print(json.dumps(asdict(measure(Path(sys.argv[1]).read_bytes(), sys.argv[2:] == ["gzip"]))))


if __name__ == "__main__":
    main()
