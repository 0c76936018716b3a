"""The base of every message body."""

from pydantic import BaseModel, ConfigDict


class Data(BaseModel):
    """The `data` of an event. Unknown fields are refused; instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Leeg(Data):
    """Nothing besides what the subject says."""
