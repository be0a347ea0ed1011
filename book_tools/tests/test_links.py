"""Links to other servers: which there are, and which lead nowhere."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from book_tools.check import external_links
from book_tools.links import dead_links
from press_sites import page, write_site


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that the address ends with."""

    def do_GET(self):
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@contextmanager
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_pages_elsewhere_are_listed_once_with_the_pages_that_link_there(tmp_path):
    own = "https://github.com/owner/repo/blob/main/x"
    links = "".join(f'<a href="{a}">x</a>' for a in ("https://a.example/b#c", "https://a.example/b", "line.svg", own))
    root = write_site(tmp_path, {"one": page(links), "two": page(links)})
    assert external_links(root) == {"https://a.example/b": ["one", "two"]}


def test_an_address_that_is_gone_is_told_and_one_that_refuses_is_not():
    with server() as address:
        wanted = [f"{address}/{status}" for status in (200, 403, 404, 500)]
        dead = dead_links([*wanted, "mailto:a@b.example"])
    assert dead == {f"{address}/404": "answer 404", f"{address}/500": "answer 500"}


def test_a_server_that_is_not_there_is_told():
    with server() as address:
        pass
    assert dead_links([f"{address}/200"]) == {f"{address}/200": "ConnectionError"}
