"""What a harvest is about to ask of a host, in words: requests, bytes, rate and time."""

SECONDS_A_REQUEST = 0.3  # of the network, where no rate is kept


def plan(pages: int, files: int, size: int, rate: float, connections: int) -> str:
    """`size`: bytes of all files; `rate`: requests a second, 0: no limit."""
    apart = 1 / rate if rate else SECONDS_A_REQUEST / connections
    asked = [_many(count, noun) for count, noun in ((pages, "page"), (files, "file")) if count]
    pace = f"{rate:g} requests a second to a host" if rate else "no limit of rate"
    return f"{' and '.join(asked)}, about {size / 1e6:,.0f} MB; {pace}: about {_duration((pages + files) * apart)}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
