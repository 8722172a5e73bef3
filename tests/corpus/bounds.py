"""What reading posted graphs costs, each in a process of its own:

    python -m tests.corpus.bounds FILE [gzip]      one body
    python -m tests.corpus.bounds --all            every case of the corpus, a line for each

The body goes through the server's own middleware, reader and refusal, without a database. A line of JSON tells the
status, the code of the first error, by how many megabytes the peak of memory rose above that before, and the seconds of
the processor.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
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
    seconds: float


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def read(request: HttpRequest) -> HttpResponse:
    from workflows.api.problems import handle_exception
    from workflows.api.workflows import read_graph
    from workflows.graph import InvalidGraph

    try:
        graph = read_graph(request.read())
    except InvalidGraph as error:
        answer = handle_exception(error, {})
        assert answer is not None
        json.dumps(answer.data)
        return HttpResponse(json.dumps({"code": error.errors[0].code}), status=answer.status_code)
    return HttpResponse(json.dumps({"edges": graph.edge_count}), status=201)


def measure(body: bytes, is_packed: bool) -> Cost:
    from django.test import RequestFactory

    from workflows.middleware import GzipRequestMiddleware

    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    request = RequestFactory(headers=headers).post("/api/v1/workflows/", body, content_type="application/json")
    take, before, begun = GzipRequestMiddleware(read), peak(), time.process_time()
    answer = take(request)
    seconds = time.process_time() - begun
    told = json.loads(answer.content)
    return Cost(answer.status_code, told.get("code", ""), told.get("edges", 0), peak() - before, round(seconds, 3))


def in_child(act: Callable[[], object]) -> None:
    """A peak is never lower again, nor is memory that was freed a cost to the next body."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            act()
            sys.stdout.flush()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def measure_all(file: Path) -> None:
    from tests.corpus.cases import CASES

    def tell(name: str, is_packed: bool) -> None:
        body = file.read_bytes()
        print(json.dumps({"name": name, "size": len(body), **asdict(measure(body, is_packed))}))

    for case in CASES:
        in_child(lambda case=case: file.write_bytes(case.make()))  # type: ignore[misc]
        in_child(lambda case=case: tell(case.name, case.packed))  # type: ignore[misc]


def main() -> None:
    django.setup()
    measure(b'{"workflow_args": "x", "jobs": [{}]}', False)  # what is loaded once is not the body's cost
    if sys.argv[1] == "--all":
        with tempfile.TemporaryDirectory() as folder:
            measure_all(Path(folder, "body"))
        return
    print(json.dumps(asdict(measure(Path(sys.argv[1]).read_bytes(), sys.argv[2:] == ["gzip"]))))


if __name__ == "__main__":
    main()
