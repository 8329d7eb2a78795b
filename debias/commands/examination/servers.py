"""The two configured servers: whether they answer, and to whom."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from debias.commands.examination.finding import Finding
from debias.tracking.addresses import MLFLOW, PREFECT, without_password

PATIENCE = 3.0  # seconds a question may take, all in all
MOST = 65_536  # bytes of an answer that are read
LOCAL = ("localhost", "127.0.0.1", "::1")
SAFE_MLFLOW = (3, 17, 0)  # before: files could be read without logging in (CVE-2026-116690)
SAFE_PREFECT = (3, 6, 22)  # before: logging in could be walked around (CVE-2026-3514)
CONNECTIONS = Path("/proc/net")
ANYWHERE = ("00000000", "00000000000000000000000000000000")
LISTENING = "0A"


@dataclass(frozen=True)
class Service:
    """How one kind of server is asked, relative to its address.

    Attributes:
        name: As it is called in sentences.
        health: Answers without logging in.
        version: Says which version it is.
        listing: Lists what people made, and should not do so for anybody.
        question: Body of the question that lists.
        floor: Oldest version without a known way around its protection.
        protect: How to make it ask who is there.
    """

    name: str
    health: str
    version: str
    listing: str
    question: dict[str, int]
    floor: tuple[int, ...]
    protect: str


SERVICES = {
    MLFLOW: Service(
        "MLflow", "/health", "/version", "/api/2.0/mlflow/experiments/search",
        {"max_results": 1}, SAFE_MLFLOW,
        "start it with --app-name basic-auth, or behind a proxy that asks for a login",
    ),
    PREFECT: Service(
        "Prefect", "/health", "/admin/version", "/flows/filter", {"limit": 1}, SAFE_PREFECT,
        "set PREFECT_SERVER_API_AUTH_STRING for the server",
    ),
}  # fmt: skip


class _Stay(HTTPRedirectHandler):
    """Nobody is asked who was not configured."""

    def redirect_request(self, *question: object) -> None:
        return None


def servers() -> Iterator[Finding]:
    """Look at the servers that the environment names; nobody else is asked."""
    for variable, service in SERVICES.items():
        address = os.environ.get(variable, "").rstrip("/")
        if not address:
            text = f"{variable} is not set: {NOT_SET[variable]}"
            yield Finding("servers", "ok", text)
        elif address.lower().startswith(("http:", "https:")):
            yield from _server(service, address, variable)
        elif _is_file(address):
            text = f"{service.name} writes to {without_password(address)}, without a server"
            yield Finding("servers", "ok", text)
        else:
            yield Finding(
                "servers", "warning",
                f"{service.name} writes to {without_password(address)}: not examined",
                "see for yourself that it answers, and who can read what is there",
            )  # fmt: skip


NOT_SET = {
    MLFLOW: "runs are recorded in mlflow.db beside their folders",
    PREFECT: "flows start a server of their own for as long as they run",
}


def _is_file(address: str) -> bool:
    """Whether MLflow takes it for a file or a folder on this machine."""
    scheme, separator, _ = address.partition(":")
    return scheme in ("sqlite", "file") if separator else not address.startswith("databricks")


def _asked(address: str) -> str | None:
    """Where a stranger would ask: without credentials and question; None if it is no address."""
    try:
        parts = urlsplit(address)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return None
    if "@" in parts.path + parts.query + parts.fragment:  # of a password, perhaps
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}" if host else None


def _server(service: Service, address: str, variable: str) -> Iterator[Finding]:
    shown = _asked(address)
    if shown is None:
        yield Finding(
            "servers", "problem", f"{variable} is no address ({without_password(address)})",
            "set it to that of a server, such as http://127.0.0.1:5000; in a password, write @ as "
            "%40 and / as %2F",
        )  # fmt: skip
        return
    status, _ = _ask(shown + service.health)
    if status is None:
        yield Finding(
            "servers", "problem", f"{service.name} at {shown} does not answer within "
            f"{PATIENCE:g} s", "start it, or correct or unset the variable that names it",
        )  # fmt: skip
        return
    yield _openness(service, shown)
    yield from _age(service, shown)
    if "@" in urlsplit(address).netloc and shown.startswith("http:") and not _is_local(address):
        yield Finding(
            "servers", "warning", f"the password for {service.name} at {shown} travels in clear",
            "serve it over https",
        )  # fmt: skip
    if _is_local(address) and _listens_everywhere(urlsplit(address).port or 80):
        yield Finding(
            "servers", "warning",
            f"{service.name} at {shown} listens on every network interface of this machine",
            "start it with --host 127.0.0.1",
        )  # fmt: skip


def _openness(service: Service, address: str) -> Finding:
    status, _ = _ask(address + service.listing, service.question)
    if status in (401, 403):
        return Finding("servers", "ok", f"{service.name} at {address} answers and asks for a login")
    if status != 200:
        said = "nothing" if status is None else f"status {status}"
        return Finding(
            "servers", "warning",
            f"{service.name} at {address} answers, but says {said} when asked what it holds",
            f"see whether this is the address of a {service.name} server",
        )  # fmt: skip
    text = f"{service.name} at {address} shows what it holds to anybody who asks"
    if _is_local(address):
        return Finding("servers", "ok", f"{text} on this machine")
    return Finding("servers", "warning", text, service.protect)


def _age(service: Service, address: str) -> Iterator[Finding]:
    _, answer = _ask(address + service.version)
    text = answer.decode(errors="replace").strip().strip('"')
    parts = text.split(".")
    if len(parts) < 3 or not all(part.isdecimal() for part in parts[:3]):
        return
    if tuple(map(int, parts[:3])) < service.floor:
        yield Finding(
            "servers", "warning", f"{service.name} at {address} is {text}: its protection can be "
            "walked around", f"use {'.'.join(map(str, service.floor))} or later",
        )  # fmt: skip


def _ask(address: str, question: dict[str, int] | None = None) -> tuple[int | None, bytes]:
    """Status and the beginning of the answer; None if there was none in time."""
    body = None if question is None else json.dumps(question).encode()
    request = Request(address, body, {"Content-Type": "application/json"})
    # Not by way of a proxy: it would be a third party that is told what runs here.
    opener = build_opener(ProxyHandler({}), _Stay())

    def ask() -> tuple[int | None, bytes]:
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return int(answer.status), bytes(answer.read(MOST))
        except HTTPError as error:
            return error.code, b""

    return _within(PATIENCE, ask, (None, b""))


def _within(seconds: float, action: Callable[[], Any], otherwise: Any) -> Any:  # noqa: ANN401
    """What ``action`` returns, unless it fails or takes longer: a name server can hang, too."""
    found = [otherwise]

    def run() -> None:
        with suppress(URLError, OSError, ValueError, HTTPException):
            found[0] = action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0]


def _is_local(address: str) -> bool:
    return urlsplit(address).hostname in LOCAL


def _listens_everywhere(port: int) -> bool:
    """Whether somebody on this machine listens on the port at every address."""
    for table in ("tcp", "tcp6"):
        path = CONNECTIONS / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, local, _, state, *_ = line.split()
            place, _, number = local.partition(":")
            if state == LISTENING and place in ANYWHERE and int(number, 16) == port:
                return True
    return False
