"""The reports in the browser: what is served, and the links to it."""

import http.client
import os
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from assets import keys
from assets.pages.links import VARIABLE, links
from assets.pages.page import publish_page
from pipelines.reports import HOST, Server
from pipelines.ui import serve
from storage.store import LocalStore
from trm_model.errors import ConfigurationError


@contextmanager
def serving(folder: Path) -> Generator[int]:
    """The port at which a folder is served."""
    with Server(0, folder, os.getppid()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def answer(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and body. ``http.client`` sends the path as it is given, dots included."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request(method, path, headers=headers)
        found = connection.getresponse()
        return found.status, found.read().decode()


def test_a_click_opens_a_report_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore.create(tmp_path / "store")
    publish_page(store, keys.runs_page("sudoku_4x4"), "<p>the runs</p>")
    run = store.open(keys.run("sudoku_4x4", "trm", 0, "key"))
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (run / "link.txt").symlink_to(tmp_path / "store" / "outside.txt")
    store.open("tables").mkdir()
    store.open("tables/scores.txt").write_text("not a report")
    outside = tmp_path / "store" / "outside.txt"
    outside.write_text("not a report")
    store.open("reports/link.txt").symlink_to(outside)
    store.open("reports/linked").mkdir()
    store.open("reports/linked/index.html").symlink_to(outside)
    monkeypatch.delenv(VARIABLE, raising=False)
    runs = keys.runs_page("sudoku_4x4")
    path = dg.MetadataValue.path(str(store.open(runs)))
    assert links(store, runs=runs) == {"runs": path}
    with serving(store.root) as port:
        monkeypatch.setenv(VARIABLE, f"http://{HOST}:{port}")
        found = links(store, runs=runs)
        assert found["runs"] == path
        address = found["runs_link"].value
        assert isinstance(address, str)
        assert address.startswith(f"http://{HOST}:{port}/")
        asked = address.removeprefix(f"http://{HOST}:{port}")
        assert answer(port, asked) == (200, "<p>the runs</p>")
        assert answer(port, asked, "POST")[0] == 501
        # As a browser takes ../../runs/… on a page of a benchmark.
        assert answer(port, "/runs/sudoku_4x4/trm/0/key/run.json") == (200, "{}")
        assert "run.json" in answer(port, "/runs/sudoku_4x4/trm/0/key/")[1]
        assert answer(port, "/tables/scores.txt")[0] == 404
        assert answer(port, "/%00")[0] == 404
        # A page of another host may have its name lead here.
        assert answer(port, asked, Host="localhost:1")[0] == 200
        assert answer(port, asked, Host="evil.example")[0] == 403
        for escape in (
            "/../outside.txt", "/%2e%2e/outside.txt", "/sudoku_4x4/../../outside.txt",
            "//../outside.txt", "/link.txt", f"/{outside}",
            "/runs/../outside.txt", "/runs/%2e%2e/outside.txt",
            "/runs/sudoku_4x4/trm/0/key/link.txt", "/linked/",
        ):  # fmt: skip
            status, body = answer(port, escape)
            assert (status, "not a report" in body) == (404, False), escape


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    with Server(0, tmp_path, os.getpid()) as server, pytest.raises(SystemExit):
        server.serve_forever(0.01)


def test_two_servers_have_two_ports() -> None:
    with pytest.raises(ConfigurationError, match="--reports-port 3999: expected another than"):
        serve(3999, 3999)
