"""The one exception class for what a user can mend."""


class UserError(Exception):
    """Bad input or a bad machine, told in one line: `where: found; expected; cure`.

    Tasks let it through; the command line prints it last, behind `error: `, without a traceback, and exits non-zero.
    """

    def __init__(self, where: object, found: str, expected: str, cure: str):
        super().__init__(f"{where}: {found}; {expected}; {cure}")

    @classmethod
    def of_line(cls, line: str) -> "UserError":
        """What another process told, in one line already."""
        error = cls.__new__(cls)
        error.args = (line,)
        return error

    def __reduce__(self):  # it crosses processes, and Exception would rebuild it from the one joined line
        return type(self).of_line, self.args
