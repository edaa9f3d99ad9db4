"""Crawls: a query to a source on the web, its pages, its files, and the ledger of both."""
