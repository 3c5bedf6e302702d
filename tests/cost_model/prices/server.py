"""A server on loopback that serves price files, or whatever a test has it say instead."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cost_model.prices.bulk import OFFER_INDEX, PLAN_INDEX, BulkFiles
from cost_model.prices.download import Downloader
from cost_model.prices.plan_rates import PlanRates
from cost_model.prices.price_list import RegionPrices

from .shapes import PriceList

Answer = bytes | Callable[[BaseHTTPRequestHandler], None]


class PriceServer:
    """Serves `files` by path: bytes, or a function that answers by itself. `asked` counts."""

    def __init__(self) -> None:
        self.files: dict[str, Answer] = {}
        self.asked: dict[str, int] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked[self.path] = server.asked.get(self.path, 0) + 1
                answer = server.files.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif isinstance(answer, bytes):
                    send(self, answer)
                else:
                    answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the tests' stderr."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def serve(self, *lists: PriceList) -> None:
        """The index and the files of these regions."""
        paths = {prices.region: f"/offers/v1.0/aws/AmazonSageMaker/2026/{prices.region}/index.json" for prices in lists}
        self.index({region: {"regionCode": region, "currentVersionUrl": path} for region, path in paths.items()})
        for prices in lists:
            self.files[paths[prices.region]] = json.dumps(prices.bulk()).encode()

    def index(self, regions: Any) -> None:
        self.files[OFFER_INDEX] = json.dumps({"formatVersion": "v1.0", "regions": regions}).encode()

    def serve_plans(self, region: str, document: dict[str, Any]) -> None:
        path = f"/savingsPlan/v1.0/aws/AWSMachineLearningSavingsPlans/2026/{region}/index.json"
        self.files[PLAN_INDEX] = json.dumps({"regions": [{"regionCode": region, "versionUrl": path}]}).encode()
        self.files[path] = json.dumps(document).encode()

    def fetch(self, folder: Path, *regions: str) -> list[RegionPrices]:
        with Downloader(self.url, first_wait_s=0) as downloader:
            return list(BulkFiles(downloader, folder).prices(regions))

    def fetch_plans(self, folder: Path, *regions: str) -> list[PlanRates]:
        with Downloader(self.url, first_wait_s=0) as downloader:
            return list(BulkFiles(downloader, folder).plan_rates(regions))


def send(handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, length: int | None = None) -> None:
    """An answer that says it is `length` bytes long, as long as it is without."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
