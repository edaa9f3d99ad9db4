"""One page of a site's listing: requested, paid for, parsed."""

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pipeline.crawl.ledger import Ledger
from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import bad_answer, parse_bounded_json
from pipeline.sources.web_source import BudgetExceeded, Cursor, Page, Query, WebSource
from pipeline.web.client import Client
from pipeline.web.http import RequestFailed
from pipeline.web.messages import HttpRequest, HttpResponse

PERMANENT = {"robots", "bad_url", "private_address", "redirects", "too_large"}  # another try does not help
UNCHARGED = {
    "robots",
    "bad_url",
    "private_address",
    "unreachable",
    "rate_limited",
    "server_error",
}  # nothing was answered


@dataclass(frozen=True)
class Paginator:
    """The listing of one query to one source."""

    source: str
    site: WebSource
    query: Query
    max_cost_usd: float
    """Limit for a month (UTC), for all queries to the source."""

    def budget_left(self, ledger: Ledger) -> float:
        """Return what may still be spent this month, in USD."""
        return round(max(self.max_cost_usd - ledger.cost_in_month(_current_month()), 0.0), 6)

    def fetch(self, client: Client, ledger: Ledger, cursor: Cursor, wanted: int, *, has_posts: bool) -> Page:
        """Return the next page, while `wanted` images (0: all) are still wanted.

        Raise BudgetExceeded if the month's budget does not pay for it, and UserError if it has odd posts only and none
        of this site could be parsed before (`has_posts`): then the site has changed."""
        query = replace(self.query, wanted=wanted, budget_usd=self.budget_left(ledger))
        request = self.site.engine.request(query, cursor)
        if request is None:
            found = self.site.engine.parse(query, cursor, None)
        elif request.cost > query.budget_usd:
            raise BudgetExceeded(f"{query.budget_usd:g} USD do not pay for another page")
        else:
            arguments = (client, ledger, query, cursor, request)
            found = self._read_paid(*arguments) if request.cost else self._read(client, query, cursor, request)
        odd = [offer for offer in found.offers if isinstance(offer, Skipped) and offer.is_odd]
        if odd and len(odd) == len(found.offers) and not has_posts:
            raise UserError(
                request.url[:300] if request else self.source,
                odd[0].detail,
                "posts with all that is needed",
                "try again later; if it stays, the site has changed",
            )
        return found

    def _read_paid(self, client: Client, ledger: Ledger, query: Query, cursor: Cursor, request: HttpRequest) -> Page:
        """Return the page. Its highest price is recorded before the request, as a kill must not lose it; the difference
        is given back afterwards."""
        month = _current_month()
        ledger.add_cost(month, request.cost)
        try:
            found = self._read(client, query, cursor, request)
        except UserError as error:
            failure = error.__cause__
            if isinstance(error, _Refused) or (
                isinstance(failure, RequestFailed) and {failure.reason, *failure.before} <= UNCHARGED
            ):
                ledger.add_cost(month, -request.cost)
            raise
        if found.cost is not None and found.cost < request.cost:
            ledger.add_cost(month, found.cost - request.cost)
        return found

    def _read(self, client: Client, query: Query, cursor: Cursor, request: HttpRequest) -> Page:
        def read(answer: HttpResponse) -> Page:
            if answer.status < 400:
                return self.site.engine.parse(query, cursor, answer)
            if not self.site.reads_refusals:
                raise bad_answer(answer, f"HTTP {answer.status}: {_message(answer)}", _cure(answer.status, self.source))
            try:
                return self.site.engine.parse(query, cursor, answer)
            except UserError as error:
                raise _Refused.of_line(str(error)) from error

        try:
            return client.fetch_page(
                request, read, obeys_robots=self.site.obeys_robots, reads_refusals=self.site.reads_refusals
            )
        except RequestFailed as failure:
            cure = "ask for something else" if failure.reason in PERMANENT else "run the same command again to go on"
            raise UserError(request.url[:300], str(failure), "a page of the listing", cure) from failure


class _Refused(UserError):
    """An error that an engine raises for an answer of 4xx, which no site charges for."""


def _current_month() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m")


def _message(answer: HttpResponse) -> str:
    """Return a site's own message about an error."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        value = parse_bounded_json(answer.body)
        return str(value.get("message") or value.get("error") or value.get("reason") or value)[:200]
    kind = answer.headers.get("content-type", "")
    return "a web page" if "html" in kind else answer.body[:200].decode("utf-8", "replace").strip()


def _cure(status: int, source: str) -> str:
    if status in (401, 403):
        return f"look at the keys in [{source}] of luigi.cfg"
    return "correct the query" if status in (400, 404, 410, 422) else "try again later"
