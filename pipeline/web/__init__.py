"""The only sockets of the program: HTTP with an SSRF guard, rate limits, a cache, partial files and robots rules."""
