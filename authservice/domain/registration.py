"""Who may make an account."""

from enum import Enum


class Admission(Enum):
    """By whose will an account is made."""

    OPEN = "open"
    INVITED = "invited"
    CLOSED = "closed"
    OPERATOR = "operator"
