"""One page of a site's listing: requested, paid for, parsed.

The rule of what may be spent is here: before a request its highest price is recorded in the ledger, as a kill must not
lose it; afterwards what the answer did not cost is given back. A request whose price the month's rest does not pay for
is not sent.
"""

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pipeline.crawl.ledger import Ledger
from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import bad_answer, parse_bounded_json
from pipeline.sources.web_source import Cursor, Page, Query, WebSource
from pipeline.web.client import Client
from pipeline.web.http import RequestFailed
from pipeline.web.messages import HttpRequest, HttpResponse

PERMANENT = {"robots", "bad_url", "private_address", "redirects", "too_large"}  # another try does not help
UNCHARGED = {"robots", "bad_url", "private_address", "unreachable", "rate_limited", "server_error"}  # no answer


class BudgetExceeded(Exception):
    """A page for which the month's budget does not pay; args: why. The same cursor leads on when it does."""


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
            left, cost = query.budget_usd, request.cost
            raise BudgetExceeded(f"max_cost_usd leaves {left:g} USD, and to go on may cost {cost:g}")
        else:
            found = self._read(client, ledger, query, cursor, request)
        odd = [offer for offer in found.offers if isinstance(offer, Skipped) and offer.is_odd]
        if odd and len(odd) == len(found.offers) and not has_posts:
            where = request.url[:300] if request else self.source
            cure = "try again later; if it stays, the site has changed"
            raise UserError(where, odd[0].detail, "posts with all that is needed", cure)
        return found

    def _read(self, client: Client, ledger: Ledger, query: Query, cursor: Cursor, request: HttpRequest) -> Page:
        """Return the page that the request fetches. Raise UserError if it fails or is refused.

        Its highest cost, USD, is added to the ledger before it is sent; what was not charged is subtracted after it."""
        month, charged, is_refusal = _current_month(), request.cost, False

        def read(answer: HttpResponse) -> Page:
            nonlocal is_refusal
            is_refusal = answer.status >= 400  # for which no site charges
            if is_refusal and not self.site.reads_refusals:
                raise bad_answer(answer, f"HTTP {answer.status}: {_message(answer)}", _cure(answer.status, self.source))
            return self.site.engine.parse(query, cursor, answer)

        ledger.add_cost(month, request.cost)
        try:
            page = client.fetch_page(
                request, read, obeys_robots=self.site.obeys_robots, reads_refusals=self.site.reads_refusals
            )
            charged = charged if page.cost is None else min(page.cost, charged)
            return page
        except RequestFailed as failure:
            charged = 0.0 if {failure.reason, *failure.before} <= UNCHARGED else charged
            cure = "ask for something else" if failure.reason in PERMANENT else "run the same command again to go on"
            raise UserError(request.url[:300], str(failure), "a page of the listing", cure) from failure
        except UserError:
            charged = 0.0 if is_refusal else charged
            raise
        finally:
            ledger.add_cost(month, charged - request.cost)


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
