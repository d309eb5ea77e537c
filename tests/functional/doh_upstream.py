"""An upstream by HTTPS (RFC 8484): the scripted upstream's answers in the responses of a scripted HTTP server."""
import base64
import sys
import urllib.parse
from pathlib import Path

import dns.message

from scripted_upstream import Upstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from http_server import HttpServer, Response  # noqa: E402

TYPE = "application/dns-message"


class Doh:
    """A scripted upstream behind HTTP. `faults` says by name what becomes of the HTTP response."""

    def __init__(self, pki: Path, **options):
        self.script = Upstream()  # not entered: what it would answer
        self.requests: list[Response] = []
        self.faults = {}
        self.http = HttpServer(self._handle, pki / "server.pem", pki / "server.key", **options)
        self.text = f"https://127.0.0.1:{self.http.port}"

    def _handle(self, response: Response) -> None:
        self.requests.append(response)
        query = response.body
        if not query:
            value = urllib.parse.parse_qs(urllib.parse.urlparse(response.path).query)["dns"][0]
            query = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        script, answer = self.script.respond("https", query)
        name = dns.message.from_wire(query).question[0].name.to_text()
        if name in self.faults:
            self.faults[name](response, answer)
        elif answer is not None:
            send(response, answer)


def send(response: Response, body: bytes, status: int = 200, content_type: str = TYPE, **headers: str) -> None:
    response.start(status, {"Content-Type": content_type, **headers})
    response.write(body)
    response.end()
