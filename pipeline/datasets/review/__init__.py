"""A page on 127.0.0.1 to look through a dataset and to correct it by hand."""
