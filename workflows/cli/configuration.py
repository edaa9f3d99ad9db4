"""Checks of luigi.cfg: each error is one clear line, without any key.

Luigi reads the file as soon as it is imported. So importing this module, which does not import Luigi, checks first
that the file can be read. `check_values` is for later: it checks the values of Luigi's own sections and of tasks.
"""

import codecs
import configparser
import locale
import os
import re
import sys
from pathlib import Path
from typing import Any

from pipeline import redaction
from pipeline.errors import UserError

# Where Luigi looks.
CONFIG_FILES = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")
KEYS = ("api_key", "bearer_token", "cx", "password_hash", "token")
"""Options that hold keys, whatever their section."""
EXPANSION_FIX = "write %% for %, and set the variables of ${…}"


def is_luigi_command() -> bool:
    """Return whether this process is `luigi …` or `python -m luigi …`, rather than a program that imports the tasks."""
    program = Path(sys.argv[0])
    return program.stem == "luigi" or (program.parent.name, program.stem) == ("luigi", "__main__")


def check_file(path: Path) -> None:
    """Raise UserError unless `path` is a file of sections and options, each given once; or is not there."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(path, error.strerror or str(error), "a readable file", "check its permissions") from None
    encoding = locale.getpreferredencoding(do_setlocale=False)
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        cure = "save it as UTF-8, without a byte order mark"
        raise UserError(path, "it begins with a byte order mark", f"plain text in {encoding}", cure)
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # the way that the library documents
    # The library's own messages hold whole lines of the file, and so keys.
    try:
        parser.read_string(data.decode(encoding))
        parser.getboolean("core", "autoload_range", fallback=True)  # which Luigi asks when it is imported
        return
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"line {line} is no {encoding}", f"plain text in {encoding}", "save it in that encoding"
    except configparser.DuplicateSectionError as error:
        found = f"line {error.lineno}: a second section [{error.section}]"
        problem = found, "each section once", "put all of it into one"
    except configparser.DuplicateOptionError as error:
        found = f"line {error.lineno}: {error.option} in [{error.section}] is there twice"
        problem = found, "each option once", "leave one of them out"
    except configparser.MissingSectionHeaderError as error:
        found = f"line {error.lineno} is in no section"
        problem = found, "sections of options", "put a line such as [gelbooru] above it"
    except configparser.ParsingError as error:
        line = getattr(error, "lineno", None) or error.errors[0][0]
        expected = "lines of NAME = VALUE below a [section]"
        problem = f"line {line} is no option", expected, "correct it, or put a # before it"
    except ValueError:
        problem = "[core] autoload_range is neither true nor false", "one of them", "correct it"
    raise UserError(path, *problem)


def check_values() -> None:
    """Raise UserError for a value that Luigi cannot use: of an option of its own, or of a task. Call it once all tasks
    are imported."""
    import luigi.retcodes  # which registers [retcode]
    from luigi.configuration import get_config
    from luigi.task_register import Register

    config: Any = get_config()
    if not isinstance(config, configparser.RawConfigParser):  # it is TOML, which has types
        return
    tasks = set(Register.task_names())
    for section in config.sections():
        values = {}
        for option in config[section] if section in tasks | {"resources"} else ():
            try:
                values[option.replace("-", "_")] = config.get(section, option)
            except configparser.InterpolationError:
                where = "DEFAULT" if option in config.defaults() else section
                found, cure = "its value cannot be expanded", EXPANSION_FIX
                raise UserError(f"luigi.cfg: [{where}] {option}", found, "text without % and ${", cure) from None
        parameters = Register.get_task_cls(section).get_params() if section in tasks else ()
        for name, parameter in parameters:
            aliases = {name, (getattr(parameter, "_config_path", None) or {"name": name})["name"].replace("-", "_")}
            for option in aliases & values.keys():
                try:
                    parameter.parse(values[option])
                except (ValueError, TypeError, AttributeError, KeyError, luigi.parameter.ParameterException, UserError):
                    problem, fix = f"{values[option][:100]!r} given", "correct it"
                    raise UserError(f"luigi.cfg: [{section}] {option}", problem, _expected(parameter), fix) from None
    for option, value in config.items("resources") if config.has_section("resources") else ():
        if not re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
            expected = "a whole number"
            raise UserError(f"luigi.cfg: [resources] {option}", f"{value[:100]!r} given", expected, "correct it")
    settings: Any = config  # Luigi's own signatures
    if settings.getint("core", "workers", 1) < 1:
        raise UserError("luigi.cfg: [core] workers", "fewer than one", "a whole number, 1 or more", "correct it")
    for option in ("no_configure_logging", "rpc_log_retries"):
        try:
            settings.getboolean("core", option, None)
        except ValueError:
            wanted = "one of them"
            raise UserError(f"luigi.cfg: [core] {option}", "neither true nor false", wanted, "correct it") from None


def _expected(parameter) -> str:
    """Return what a value of that parameter has to be, in words."""
    import luigi

    kinds = {
        luigi.BoolParameter: "true or false",
        luigi.IntParameter: "a whole number",
        luigi.FloatParameter: "a number",
    }
    if kind := getattr(parameter, "kind", ""):
        return kind
    if choices := getattr(parameter, "_choices", None):
        return "one of " + " ".join(sorted(map(str, choices)))
    return next((words for type_, words in kinds.items() if isinstance(parameter, type_)), "another value")


def redact_keys() -> None:
    """Hide the keys of luigi.cfg in all later output: Luigi's own warnings and errors contain values."""
    from luigi.configuration import get_config

    config = get_config()
    if isinstance(config, configparser.RawConfigParser):
        for section in (config.default_section, *config.sections()):
            values = config.items(section, raw=True)
            redaction.register(value for option, value in values if option.replace("-", "_") in KEYS)


try:
    for _place in filter(None, (*CONFIG_FILES, os.environ.get("LUIGI_CONFIG_PATH"))):
        check_file(Path(_place))
except UserError as error:
    if sys.argv[:1] != ["-m"] and not is_luigi_command():  # a program imports the tasks
        raise
    sys.exit(f"error: {error}")
