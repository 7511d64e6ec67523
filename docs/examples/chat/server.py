"""A minimal server for a page with voice. It serves the page and short-lived tokens, and keeps the API key secret.

VOICE_URL=http://127.0.0.1:8000 VOICE_KEY=vk_... python docs/examples/chat/server.py 9000
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

VOICE_URL = os.environ["VOICE_URL"]
VOICE_KEY = os.environ["VOICE_KEY"]
PAGE = Path(__file__).with_name("index.html").read_text("utf-8").replace("VOICE_URL", VOICE_URL)


def token(user: str) -> str:
    """Return a token for a signed-in user. Take the user id from your own session, never from the page."""
    headers = {"Authorization": f"Bearer {VOICE_KEY}", "Content-Type": "application/json"}
    request = Request(f"{VOICE_URL}/v1/realtime/client_secrets", json.dumps({"user": user}).encode(), headers)
    with urlopen(request) as answer:
        return str(json.load(answer)["value"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, PAGE, "text/html; charset=utf-8")
        elif self.path == "/voice-token":
            try:
                self.answer(200, token("aminah"))
            except OSError:  # the service refused or cannot be reached
                self.answer(503, "")
        else:
            self.answer(404, "not found")

    def answer(self, status: int, body: str, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
