"""The documentation pages, in Chromium: each shows its own service, and asks nobody but us."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.services import CHROMIUM, need
from tests.system.client import Client
from tests.system.running import System

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.parametrize(
    "system",
    [pytest.param("embedded", marks=pytest.mark.xdist_group("embedded system"))],
    indirect=True,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = need(CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, system: System) -> Iterator[Page]:
    """A page that complains of nothing and loads nothing from elsewhere."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.close()
    assert complaints == []
    assert asked
    home = (f"http://127.0.0.1:{system.port}/", f"http://127.0.0.1:{system.admin_port}/")
    assert [url for url in asked if not url.startswith(home)] == []


@pytest.mark.parametrize(
    ("door", "path"),
    [("one address", "/api/docs"), ("one address", "/admin/api/docs/"), ("admin alone", "/admin/api/docs")],
)
def test_the_page_shows_every_operation_of_its_own_document(
    system: System, page: Page, door: str, path: str
) -> None:
    port = system.port if door == "one address" else system.admin_port
    with Client(port) as client:
        document = client.ask("GET", path.rstrip("/").replace("docs", "openapi.json")).json
    page.goto(f"http://127.0.0.1:{port}{path}")
    operations = [(method, path) for path, methods in document["paths"].items() for method in methods]
    expect(page.locator(".opblock")).to_have_count(len(operations))
    expect(page.locator("h1, h2.title").first).to_contain_text(document["info"]["title"])
    shown = page.locator(".opblock-summary-path").evaluate_all(
        "paths => paths.map(path => path.dataset.path)"
    )
    assert sorted(shown) == sorted(path for _, path in operations)


def test_a_request_can_be_tried_from_the_page(system: System, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{system.port}/api/docs")
    operation = page.locator("#operations-health-readyz")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


@pytest.mark.parametrize("prefix", ["/api", "/admin/api"])
def test_the_page_and_its_parts_may_be_kept_and_reach_nothing_outside(system: System, prefix: str) -> None:
    with Client(system.port) as client:
        for path in ("docs", "docs/start.js", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js"):
            answer = client.ask("GET", f"{prefix}/{path}")
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "public, max-age=3600"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "http" not in answer.headers["Content-Security-Policy"]
            head = client.ask("HEAD", f"{prefix}/{path}")
            assert (head.status, head.body) == (200, b"")
            assert head.headers["Content-Length"] == str(len(answer.body))


@pytest.mark.parametrize("prefix", ["/api", "/admin/api"])
def test_the_links_of_the_page_hold_behind_any_gateway(system: System, prefix: str) -> None:
    with Client(system.port) as client:
        page = client.ask("GET", f"{prefix}/docs").body.decode()
    links = re.findall(r'(?:href|src|data-document)="(.*?)"', page)
    assert len(links) > 4
    assert [link for link in links if link.startswith("/") or ":" in link] == []


def test_a_part_that_has_not_changed_is_not_sent_again(system: System) -> None:
    with Client(system.port) as client:
        tag = client.ask("GET", "/api/docs/start.js").headers["ETag"]
        answer = client.ask("GET", "/api/docs/start.js", headers={"If-None-Match": tag})
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpage.html", "LICENSE", "page.html"])
def test_nothing_else_is_served_beside_the_page(system: System, name: str) -> None:
    with Client(system.port) as client:
        assert client.ask("GET", f"/api/docs/{name}").status == 404
