"""Sources of pictures, one file per engine. `registry` has the table of all. It imports their parsers of web pages,
which takes long: what worker processes need of a source is in `base`."""
