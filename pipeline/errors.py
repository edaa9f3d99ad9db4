"""Errors that a user can fix: their exception class, and which of the operating system's they are."""

import errno

DISK_ERRORS = {errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP}
DISK_ERRORS |= {errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS, errno.EXDEV}
"""Errors of the disk or of what lies there, rather than of the program."""


class UserError(Exception):
    """An error that the user can fix, in one line: `where: found; expected; cure`.

    The command line prints it last, after `error: `, without a traceback, and exits non-zero.
    """

    def __init__(self, where: object, found: str, expected: str, cure: str) -> None:
        super().__init__(f"{where}: {found}; {expected}; {cure}")

    @classmethod
    def of_line(cls, line: str) -> "UserError":
        """Return the error of another process from its line."""
        error = cls.__new__(cls)
        error.args = (line,)
        return error

    def __reduce__(self) -> tuple:  # it crosses processes, and Exception would rebuild it from the one joined line
        return type(self).of_line, self.args
