"""The processes that tasks start, which join `pipeline` and `models`."""
