"""The exception of what a user can mend."""


class Error(Exception):
    """What was wrong, where, and what would be right: the sentence that the program prints behind "error:"."""
