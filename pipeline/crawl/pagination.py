"""One page of what a site lists: asked for, paid for, read."""

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pipeline.crawl.ledger import Ledger
from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import bad_answer, parsed_json
from pipeline.sources.web_source import BudgetExceeded, Cursor, Page, Query, WebSource
from pipeline.web.client import Client
from pipeline.web.http import RequestFailed
from pipeline.web.messages import HttpRequest, HttpResponse

FINAL = {"robots", "bad_url", "private_address", "redirects", "too_large"}  # another try does not mend it
FREE = {"robots", "bad_url", "private_address", "unreachable", "rate_limited", "server_error"}  # nothing was answered


@dataclass(frozen=True)
class Paginator:
    """Of one question to one source."""

    source: str
    site: WebSource
    query: Query
    max_cost_usd: float
    """In a month (UTC), of all questions to the source."""

    def left(self, ledger: Ledger) -> float:
        """USD that may still be spent this month."""
        return round(max(self.max_cost_usd - ledger.spent(_month()), 0.0), 6)

    def page(self, client: Client, ledger: Ledger, cursor: Cursor, wanted: int, *, is_known: bool) -> Page:
        """What the next page offers, while `wanted` (0: all) pictures are still wanted. `is_known`: whether the site's
        posts could be read before. Raises Enough if the user's money does not pay for it, UserError if it is nothing
        but odd posts, and the site is not known to have others: then it has changed."""
        query = replace(self.query, wanted=wanted, budget_usd=self.left(ledger))
        ask = self.site.engine.ask(query, cursor)
        if ask is None:
            found = self.site.engine.read(query, cursor, None)
        elif ask.cost > query.budget_usd:
            raise BudgetExceeded(f"{query.budget_usd:g} USD do not pay for another page")
        else:
            charged = (client, ledger, query, cursor, ask)
            found = self._paid(*charged) if ask.cost else self._read(client, query, cursor, ask)
        odd = [offer for offer in found.offers if isinstance(offer, Skipped) and offer.is_odd]
        if odd and len(odd) == len(found.offers) and not is_known:
            raise UserError(
                ask.url[:300] if ask else self.source,
                odd[0].detail,
                "posts with all that is needed",
                "try again later; if it stays, the site has changed",
            )
        return found

    def _paid(self, client: Client, ledger: Ledger, query: Query, cursor: Cursor, ask: HttpRequest) -> Page:
        """Booked at its dearest before it is sent, as a kill must not lose it; then what it was cheaper is given
        back."""
        month = _month()
        ledger.spend(month, ask.cost)
        try:
            found = self._read(client, query, cursor, ask)
        except UserError as error:
            failure = error.__cause__
            if isinstance(error, _Refused) or (
                isinstance(failure, RequestFailed) and {failure.reason, *failure.before} <= FREE
            ):
                ledger.spend(month, -ask.cost)
            raise
        if found.cost is not None and found.cost < ask.cost:
            ledger.spend(month, found.cost - ask.cost)
        return found

    def _read(self, client: Client, query: Query, cursor: Cursor, ask: HttpRequest) -> Page:
        def read(answer: HttpResponse) -> Page:
            if answer.status < 400:
                return self.site.engine.read(query, cursor, answer)
            if not self.site.reads_refusals:
                raise bad_answer(answer, f"HTTP {answer.status}: {_message(answer)}", _cure(answer.status, self.source))
            try:
                return self.site.engine.read(query, cursor, answer)
            except UserError as error:
                raise _Refused.of_line(str(error)) from error

        try:
            return client.page(ask, read, obeys_robots=self.site.obeys_robots, reads_refusals=self.site.reads_refusals)
        except RequestFailed as failure:
            cure = "ask for something else" if failure.reason in FINAL else "run the same command again to go on"
            raise UserError(ask.url[:300], str(failure), "a page of the listing", cure) from failure


class _Refused(UserError):
    """What an engine says of an answer of 4xx: that is charged by nobody."""


def _month() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m")


def _message(answer: HttpResponse) -> str:
    """A site's own words about an error."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        said = parsed_json(answer.body)
        return str(said.get("message") or said.get("error") or said.get("reason") or said)[:200]
    kind = answer.headers.get("content-type", "")
    return "a web page" if "html" in kind else answer.body[:200].decode("utf-8", "replace").strip()


def _cure(status: int, source: str) -> str:
    if status in (401, 403):
        return f"look at the keys in [{source}] of luigi.cfg"
    return "mend the query" if status in (400, 404, 410, 422) else "try again later"
