"""Edge: the web page: the last lines as a plain table, made on the server; ``web/static/logs.js`` makes it live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from logship.view.answers import READING, Refused
from logship.view.api import Api
from logship.view.journal_reader import Damage
from logship.view.segments import NoStore
from logship.view.select import Identity

WEB = Path(__file__).parent / "web"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
COUNTS = ("50", "200", "1000", "5000")
RANGES = (("", "any time"), ("5m", "5 minutes ago"), ("1h", "1 hour ago"), ("1d", "1 day ago"), ("7d", "7 days ago"))
FIELDS = ("q", "query", "grep", "i", "n", "since", "snapshots", "wrap")
OWN_FIELDS = ("wrap",)
"""Those that only say how it looks."""
EXPAND_FROM = 100
"""Characters: a longer line is cut off at the edge, and opens."""
COLUMNS = (range(6, 21, 2), range(6, 15, 2))
"""Widths there are in the style sheet, in characters: containers, programs."""


class Page:
    """Renders the page, and gives its style sheet and script, which are read once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._files = {path.name: path.read_bytes() for path in (WEB / "static").iterdir() if path.suffix in _TYPES}
        self._version = sha256(b"".join(self._files[name] for name in sorted(self._files))).hexdigest()[:12]
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(WEB / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
        )
        self._template = environment.get_template("logs.html.j2")

    async def root(self, request: Request) -> Response:
        """``/`` is the page of lines, with the same question."""
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/logs{query}", 307)

    async def static(self, request: Request) -> Response:
        """A file of the page. Its address changes with its content, so it may be kept for ever."""
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            return PlainTextResponse("no such file\n", 404)
        kept = "public, max-age=31536000, immutable" if request.query_params.get("v") == self._version else "no-cache"
        return Response(content, media_type=_TYPES[Path(name).suffix], headers={"cache-control": kept})

    async def logs(self, request: Request) -> Response:
        """The page of lines."""
        said = {name: " ".join(request.query_params.getlist(name)).strip() for name in FIELDS}
        said["n"] = said["n"] or COUNTS[1]
        rows: list[dict[str, Any]] = []
        identities: list[Identity] = []
        wanted: list[Identity] = []
        fault, status, cursor, again = "", 200, "", False
        try:
            asked = self._api.asked(request, besides=OWN_FIELDS)
            picture = await self._api.checked_picture(asked)
            cursor = str(picture.end)
            identities = [*picture.identities.values()]
            wanted = [identity for identity in identities if asked.wanted.stream(identity)]
            rows = await self._api.last_records(replace(asked, follow=True, at=picture.end, shown=True), picture)
        except Refused as refused:
            fault, status, again = refused.text, refused.status, refused.code == READING
        except (NoStore, Damage) as error:
            fault, status, again = str(error), 503, isinstance(error, NoStore)
        # The form has few ranges and counts; one from elsewhere in the address is kept among them.
        counts = [*COUNTS] if said["n"] in COUNTS else [*COUNTS, said["n"]]
        ranges = [*RANGES] if said["since"] in dict(RANGES) else [*RANGES, (said["since"], said["since"])]
        shown = [
            {"left_out": 0, "flags": (), **row, "clock": clock(row["time"]), "id": address(row)}
            for row in rows
            if row["type"] != "hidden"
        ]
        text = self._template.render(
            rows=shown,
            hidden=sum(row["lines"] for row in rows if row["type"] == "hidden"),
            said=said, places=sorted({identity.place for identity in identities}),
            columns=columns(wanted), counts=counts, ranges=ranges, fault=fault, cursor=cursor,
            version=self._version, made=datetime.now(UTC).strftime("%H:%M:%S"), with_place=self._with_place(said),
            expand_from=EXPAND_FROM, again=again,
        )  # fmt: skip
        return HTMLResponse(text, status, {"cache-control": "no-store"})

    def _with_place(self, said: dict[str, str]) -> Any:
        def address_of(place: str) -> str:
            fields: Sequence[tuple[str, str]] = [(name, value) for name, value in said.items() if value and name != "q"]
            return "/logs?" + urlencode([("q", place), *fields])

        return address_of


def columns(identities: Iterable[Identity]) -> str:
    """The classes that say how wide the columns of containers and programs are: as their longest names, bounded."""
    places, programs = 0, 0
    for identity in identities:
        places, programs = max(places, len(identity.place)), max(programs, len(identity.program or ""))
    wide = (
        next((one for one in row if one >= length), row[-1])
        for row, length in zip(COLUMNS, (places, programs), strict=True)
    )
    return "p{} g{}".format(*wide)


def clock(stamp: str) -> str:
    """``Nov 23 21:58:24.799`` of an RFC 3339 time in UTC."""
    moment = datetime.fromisoformat(stamp)
    return moment.strftime("%b %d %H:%M:%S.") + f"{moment.microsecond // 1000:03}"


def address(row: dict[str, Any]) -> str:
    """The address of a row, as the id of its element: the same for a line whenever it is shown."""
    what = f".{row['what']}" if row["type"] == "mark" else ""
    what += f".{row['loss']['id']}" if "loss" in row else ""
    return f"L{row['stream']}@{row['offset']}{what}"
