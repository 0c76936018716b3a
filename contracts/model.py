"""The base of every message body."""

from pydantic import BaseModel, ConfigDict


class Data(BaseModel):
    """The `data` of an event. Unknown fields are refused; instances do not change.

    Errors do not repeat what was sent: a partner may have put a name where it does not belong.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Leeg(Data):
    """Nothing besides what the subject says."""
